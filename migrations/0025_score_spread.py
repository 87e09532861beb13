"""The spread of a session's scores, and the highest total of their version of the rubric."""

import json
from fractions import Fraction
from importlib import import_module
from itertools import groupby
from math import floor

counting = import_module("migrations.0024_todo").counting


def up(migrator, db):
    for name in ("score_highest", "score_spread"):
        db.execute_sql(f"ALTER TABLE sessions ADD COLUMN {name} BIGINT")
    store_spreads(db)
    db.execute_sql("CREATE INDEX sessions_by_score_spread ON sessions (assessment_id, score_spread, id)")


def store_spreads(db):
    scores = """SELECT s.session_id, s.rubric_version_id, v.criteria, s.criterion, COALESCE(r.person_id, r.id),
            s.withdrawn_at IS NOT NULL, s.value
        FROM scores s JOIN rubric_versions v ON v.id = s.rubric_version_id JOIN reviewers r ON r.id = s.reviewer_id
        ORDER BY s.session_id, s.created_at DESC, s.id DESC"""
    columns = f"score_highest = {db.param}, score_spread = {db.param}"
    for session_id, rows in groupby(db.execute_sql(scores).fetchall(), key=lambda row: row[0]):
        if counted := counting(rows):
            db.execute_sql(
                f"UPDATE sessions SET {columns} WHERE id = {db.param}", (*summarize(counted), session_id)
            )


def summarize(scores):
    """The highest total in thousandths, and the largest difference between two values of one criterion."""
    current, criteria, *_ = scores[0]
    highest, spreads = Fraction(0), []
    for criterion in json.loads(criteria) if isinstance(criteria, str) else criteria:
        highest += Fraction(repr(criterion["weight"])) * max(level["value"] for level in criterion["levels"])
        values = [value for version, _, key, value in scores if (version, key) == (current, criterion["key"])]
        if len(values) > 1:
            spreads.append(max(values) - min(values))
    return floor(highest * 1000 + Fraction(1, 2)), max(spreads, default=None)
