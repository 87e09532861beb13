"""The language is checked in all rows."""

from migrations import validate_constraint


def up(migrator, db):
    validate_constraint("assessments", "assessments_language")
