"""Store the last error of each webhook."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE webhooks ADD COLUMN last_error TEXT")
    db.execute_sql("ALTER TABLE webhooks ADD COLUMN last_error_at TIMESTAMPTZ")
