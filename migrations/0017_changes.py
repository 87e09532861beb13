"""Store when candidates and sessions were last changed, and list messages in the order of an index."""


def up(migrator, db):
    for table in ("candidate_keys", "sessions"):
        # Null until the first change; earlier changes of candidates are unknown.
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN updated_at TIMESTAMPTZ")
    db.execute_sql(
        """UPDATE sessions SET updated_at = CASE WHEN hired_at > closed_at THEN hired_at ELSE closed_at END
        WHERE closed_at IS NOT NULL"""
    )
    for table in ("candidate_keys", "sessions"):
        columns = f"{table} (organization_id, updated_at)"
        db.execute_sql(f"CREATE INDEX {table}_changed ON {columns} WHERE updated_at IS NOT NULL")
    db.execute_sql("CREATE INDEX deliveries_in_order ON deliveries (organization_id, created_at, id)")
