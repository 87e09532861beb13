"""Store the path of idempotent requests, so that an erasure finds every response about the candidate."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE idempotent_requests ADD COLUMN path TEXT NOT NULL DEFAULT ''")
