"""Assessments have a language."""

from migrations import add_constraint, execute


def up(migrator, db):
    execute("ALTER TABLE assessments ADD COLUMN language TEXT")
    add_constraint("assessments", "assessments_language", "CHECK (language <> '')")
