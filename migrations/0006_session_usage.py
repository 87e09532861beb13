"""Count the stored events of each session, for its quota (models/sessions/quota.py)."""

COLUMNS = {
    "stored_event_count": "INTEGER",
    "stored_event_bytes": "BIGINT",
    "counted_seq": "BIGINT",
    "refused_event_count": "INTEGER",
}


def up(migrator, db):
    for name, kind in COLUMNS.items():
        db.execute_sql(f"ALTER TABLE sessions ADD COLUMN {name} {kind} NOT NULL DEFAULT 0")
    db.execute_sql(
        """UPDATE sessions
        SET stored_event_count = usage.events, stored_event_bytes = usage.bytes, counted_seq = usage.last_seq
        FROM (
            SELECT session_id, COUNT(*) AS events, SUM(size) AS bytes, MAX(seq) AS last_seq
            FROM events GROUP BY session_id
        ) usage
        WHERE usage.session_id = sessions.id"""
    )
