"""Events of the service's own channels (R36), the channels that a consent names, and what is kept per model call."""

from models.base import is_postgres

USAGE_COLUMNS = {
    "request_id": "TEXT",
    "tool": "TEXT",
    "agent_session": "TEXT",
    "first_token_ms": "INTEGER",
    "is_recorded": "BOOLEAN",
}


def up(migrator, db):
    for name in ("channel", "agent_session", "joins"):
        db.execute_sql(f"ALTER TABLE events ADD COLUMN {name} TEXT")
    db.execute_sql(
        "CREATE INDEX events_of_channels ON events (session_id, channel, seq) WHERE channel IS NOT NULL"
    )
    db.execute_sql(f"ALTER TABLE consents ADD COLUMN channels {'JSONB' if is_postgres() else 'JSON'}")
    for name, kind in USAGE_COLUMNS.items():
        db.execute_sql(f"ALTER TABLE model_usage ADD COLUMN {name} {kind}")
