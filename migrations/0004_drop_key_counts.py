"""Drop the ledger of valid keys: lists count them in an index."""


def up(migrator, db):
    db.execute_sql("DROP TABLE key_counts")
