"""Drop the ledger of valid keys, and count them among the cohorts' counters (models/rollups.py)."""

# The `metric` of key counts.
KEYS = -1


def up(migrator, db):
    db.execute_sql("DROP TABLE key_counts")
    db.execute_sql(
        f"""INSERT INTO cohort_counts (assessment_id, metric, level, bucket, n)
        SELECT assessment_id, {KEYS}, 0, 0, COUNT(*) FROM candidate_keys
        WHERE revoked_at IS NULL GROUP BY assessment_id"""
    )
