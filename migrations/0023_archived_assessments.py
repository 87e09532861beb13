"""Store when assessments were archived."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE assessments ADD COLUMN archived_at TIMESTAMPTZ")
