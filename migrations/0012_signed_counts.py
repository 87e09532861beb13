"""Sign the number of sealed events in each organization's chain row, and each audit entry when it is recorded."""

from models.base import is_postgres


def up(migrator, db):
    for name in ("sealed_events", "anchored_events"):
        db.execute_sql(f"ALTER TABLE audit_chains ADD COLUMN {name} BIGINT NOT NULL DEFAULT 0")
    db.execute_sql(
        """UPDATE audit_chains SET sealed_events = (
            SELECT COALESCE(SUM(sealed_count), 0) FROM sessions
            WHERE sessions.organization_id = audit_chains.organization_id
        )"""
    )
    db.execute_sql("ALTER TABLE audit_entries ADD COLUMN recorded_key_id TEXT")
    db.execute_sql(
        f"ALTER TABLE audit_entries ADD COLUMN recorded_mac {'BYTEA' if is_postgres() else 'BLOB'}"
    )
