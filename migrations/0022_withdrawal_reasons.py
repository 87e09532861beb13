"""Why a score was withdrawn."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE scores ADD COLUMN withdrawal_reason TEXT")
