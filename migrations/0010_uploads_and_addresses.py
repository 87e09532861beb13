"""Store verified bundles as copies, the bytes of a session's bundles, and the addresses of messages."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE sessions ADD COLUMN stored_bundle_bytes BIGINT NOT NULL DEFAULT 0")
    db.execute_sql("ALTER TABLE uploads ADD COLUMN source_key TEXT")
    db.execute_sql("ALTER TABLE uploads ADD COLUMN size BIGINT")
    # Uploads that were verified before are closed. On S3 they can be overwritten until they expire.
    db.execute_sql(
        """UPDATE uploads SET source_key = object_key, size = verified.size
        FROM (
            SELECT upload_id, MAX(found_size) AS size FROM submissions
            WHERE verdict = 'verified' AND upload_id IS NOT NULL GROUP BY upload_id
        ) verified
        WHERE verified.upload_id = uploads.id"""
    )
    db.execute_sql(
        """UPDATE sessions SET stored_bundle_bytes = stored.bytes
        FROM (SELECT session_id, SUM(size) AS bytes FROM uploads WHERE size IS NOT NULL GROUP BY session_id) stored
        WHERE stored.session_id = sessions.id"""
    )
    db.execute_sql("ALTER TABLE deliveries ADD COLUMN address TEXT")
    db.execute_sql(
        """UPDATE deliveries SET address = k.address FROM candidate_keys k
        WHERE k.id = deliveries.subject_id AND deliveries.kind <> 'removal'"""
    )
    db.execute_sql("CREATE INDEX deliveries_to ON deliveries (address, due_at)")
