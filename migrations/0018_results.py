"""Columns and indexes for lists of results: order by any member, total scores, and facts of the latest check."""

import json
from fractions import Fraction
from itertools import groupby
from math import floor

from models.base import is_postgres

SESSION_COLUMNS = {
    "score_total": "BIGINT",
    "score_criteria": "JSON",
    "integrity_codes": "JSON",
    "integrity_checked_at": "TIMESTAMPTZ",
    "checked_seal_count": "INTEGER NOT NULL DEFAULT 0",
}
SORTED_COLUMNS = (
    *("created_at", "completed_at", "duration_ms", "prompt_count", "command_fail_rate", "verify_intensity"),
    *("manual_edit_ratio", "first_change_latency_ms", "tests_passed", "score_total"),
)
STATE = """CASE WHEN hired_at IS NOT NULL THEN 'hired' WHEN completed_at IS NOT NULL THEN 'completed'
        WHEN closed_at IS NOT NULL THEN 'expired' ELSE 'active' END"""


def up(migrator, db):
    for name, kind in SESSION_COLUMNS.items():
        if kind == "JSON" and is_postgres():
            kind = "JSONB"
        db.execute_sql(f"ALTER TABLE sessions ADD COLUMN {name} {kind}")
    db.execute_sql("ALTER TABLE candidate_keys ADD COLUMN is_redeemed BOOLEAN NOT NULL DEFAULT FALSE")
    db.execute_sql("ALTER TABLE candidate_keys ADD COLUMN sort_name TEXT")
    db.execute_sql("UPDATE candidate_keys SET is_redeemed = TRUE WHERE id IN (SELECT key_id FROM sessions)")
    fold_names(db)
    store_scores(db)
    create_indexes(db)


def fold_names(db):
    named = "SELECT id, candidate_name FROM candidate_keys WHERE candidate_name IS NOT NULL"
    update = f"UPDATE candidate_keys SET sort_name = {db.param} WHERE id = {db.param}"
    for key_id, name in db.execute_sql(named).fetchall():
        db.execute_sql(update, (name.casefold(), key_id))


def store_scores(db):
    """Store each scored session's total, in the version of the rubric in which it was last scored."""
    scores = """SELECT s.session_id, s.rubric_version_id, v.criteria, s.criterion, s.reviewer_id, s.value
        FROM scores s JOIN rubric_versions v ON v.id = s.rubric_version_id
        ORDER BY s.session_id, s.created_at DESC, s.id DESC"""
    update = (
        f"UPDATE sessions SET score_total = {db.param}, score_criteria = {db.param} WHERE id = {db.param}"
    )
    for session_id, rows in groupby(db.execute_sql(scores).fetchall(), key=lambda row: row[0]):
        total, criteria = summarize(list(rows))
        db.execute_sql(update, (total, json.dumps(criteria), session_id))


def summarize(rows):
    _, version, criteria, *_ = rows[0]
    latest = {}
    for _, row_version, _, key, reviewer, value in rows:
        if row_version == version:
            latest.setdefault((key, reviewer), value)
    total, summaries = Fraction(0), []
    for criterion in json.loads(criteria) if isinstance(criteria, str) else criteria:
        values = [value for (key, _), value in latest.items() if key == criterion["key"]]
        mean = Fraction(sum(values), len(values)) if values else None
        shown = None if mean is None else rounded(mean) / 1000
        summaries.append({"key": criterion["key"], "mean": shown, "reviewers": len(values)})
        has_total = total is not None and mean is not None
        total = total + Fraction(repr(criterion["weight"])) * mean if has_total else None
    return None if total is None else rounded(total), summaries


def rounded(value):
    """The value in thousandths."""
    return floor(value * 1000 + Fraction(1, 2))


def create_indexes(db):
    for name in SORTED_COLUMNS:
        db.execute_sql(f"CREATE INDEX sessions_by_{name} ON sessions (assessment_id, {name}, id)")
    db.execute_sql(f"CREATE INDEX sessions_by_state ON sessions (assessment_id, ({STATE}), id)")
    db.execute_sql(
        "CREATE INDEX sessions_unchecked ON sessions (id) WHERE checked_seal_count < final_seal_count"
    )
    for name in ("sort_name", "decision"):
        db.execute_sql(
            f"""CREATE INDEX candidate_keys_by_{name} ON candidate_keys (assessment_id, {name}, id)
            WHERE is_redeemed OR revoked_at IS NULL"""
        )
    db.execute_sql(
        """CREATE INDEX candidate_keys_not_redeemed ON candidate_keys (assessment_id, expires_at, id)
        WHERE NOT is_redeemed AND revoked_at IS NULL"""
    )
