"""Assessments are found by language."""

from migrations import create_index

atomic = False


def up(migrator, db):
    create_index("assessments_language_index", "assessments (language) WHERE language IS NOT NULL")
