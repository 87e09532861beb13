"""Store decisions about candidates, and in the cohorts' totals what their metrics rest on."""

from peewee import JSONField, Model, UUIDField

from models.database import is_postgres

COLUMNS = {
    "decision": "TEXT NOT NULL DEFAULT 'undecided'",
    "decision_reason": "TEXT",
    "decided_at": "TIMESTAMPTZ",
}
# The member of further_metrics with the observations of each metric. Sessions of earlier versions have only the first.
FURTHER = {
    "verify_intensity": "file_change_count",
    "first_change_latency_ms": "file_change_count",
    "command_fail_rate": "known_exit_code_count",
    "manual_edit_ratio": "attributed_change_count",
}


def up(migrator, db):
    id_type = "UUID" if is_postgres() else "TEXT"
    for name, kind in (COLUMNS | {"decided_by_id": f"{id_type} REFERENCES reviewers (id)"}).items():
        db.execute_sql(f"ALTER TABLE candidate_keys ADD COLUMN {name} {kind}")
    keep_hires(db)
    db.execute_sql("CREATE INDEX sessions_open_of ON sessions (assessment_id) WHERE closed_at IS NULL")
    add_observations(db)


def keep_hires(db):
    db.execute_sql(
        """UPDATE candidate_keys SET decision = 'hired', decided_at = s.hired_at FROM sessions s
        WHERE s.key_id = candidate_keys.id AND s.hired_at IS NOT NULL"""
    )


def add_observations(db):
    class CohortRollup(Model):
        assessment_id = UUIDField(primary_key=True)
        totals = JSONField()

        class Meta:
            database = db
            table_name = "cohort_rollups"

    added = count_observations(db)
    for rollup in list(CohortRollup.select()):
        # SQLite returns ids as text.
        counted = added.get(rollup.assessment_id) or added.get(rollup.assessment_id.hex) or {}
        rollup.totals |= {name: int(n) for name, n in counted.items() if n}
        rollup.save(only=[CohortRollup.totals])


def count_observations(db):
    """The additional totals of each assessment's closed sessions."""
    sums = {
        "empty": "CASE WHEN event_count = 0 THEN 1 ELSE 0 END",
        "duration_ms_observations": "CASE WHEN duration_ms IS NOT NULL THEN event_count ELSE 0 END",
        "prompt_count_observations": "prompt_count",
    }
    for metric, name in FURTHER.items():
        count = further_count(name)
        sums[f"{metric}_observations"] = count
        sums[f"{metric}_unobserved"] = f"CASE WHEN {count} IS NULL THEN 1 ELSE 0 END"
    columns = ", ".join(f"SUM({text})" for text in sums.values())
    query = f"SELECT assessment_id, {columns} FROM sessions WHERE derivation_version IS NOT NULL GROUP BY assessment_id"
    return {
        assessment_id: dict(zip(sums, numbers, strict=True))
        for assessment_id, *numbers in db.execute_sql(query)
    }


def further_count(name):
    if is_postgres():
        is_number = f"jsonb_typeof(further_metrics -> '{name}') = 'number'"
        return f"CASE WHEN {is_number} THEN (further_metrics ->> '{name}')::bigint END"
    is_number = f"json_type(further_metrics, '$.{name}') = 'integer'"
    return f"CASE WHEN {is_number} THEN json_extract(further_metrics, '$.{name}') END"
