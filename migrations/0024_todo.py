"""Whether a session's reviewers disagree, and indexes for what waits for reviewers."""

import json
from fractions import Fraction
from itertools import groupby

DISAGREEMENT_LEVELS = 2


def up(migrator, db):
    db.execute_sql("ALTER TABLE sessions ADD COLUMN has_disagreement BOOLEAN NOT NULL DEFAULT FALSE")
    mark_disagreements(db)
    db.execute_sql(
        "CREATE INDEX sessions_disagreeing ON sessions (organization_id, created_at, id) WHERE has_disagreement"
    )
    db.execute_sql(
        """CREATE INDEX candidate_keys_undecided ON candidate_keys (organization_id, id)
        WHERE is_redeemed AND decision = 'undecided' AND erased_at IS NULL"""
    )
    db.execute_sql(
        """CREATE INDEX candidate_keys_to_erase ON candidate_keys (organization_id, erasure_requested_at)
        WHERE erasure_requested_at IS NOT NULL AND erased_at IS NULL"""
    )


def mark_disagreements(db):
    scores = """SELECT s.session_id, s.rubric_version_id, v.criteria, s.criterion, COALESCE(r.person_id, r.id),
            s.withdrawn_at IS NOT NULL, s.value
        FROM scores s JOIN rubric_versions v ON v.id = s.rubric_version_id JOIN reviewers r ON r.id = s.reviewer_id
        ORDER BY s.session_id, s.created_at DESC, s.id DESC"""
    update = f"UPDATE sessions SET has_disagreement = TRUE WHERE id = {db.param}"
    for session_id, rows in groupby(db.execute_sql(scores).fetchall(), key=lambda row: row[0]):
        if has_disagreement(counting(rows)):
            db.execute_sql(update, (session_id,))


def counting(rows):
    """Each reviewer's latest score of each criterion in each version, unless it was withdrawn."""
    latest = {}
    for _, version, criteria, criterion, reviewer, is_withdrawn, value in rows:
        latest.setdefault((version, criterion, reviewer), (is_withdrawn, criteria, value))
    return [
        (version, criteria, criterion, value)
        for (version, criterion, _), (is_withdrawn, criteria, value) in latest.items()
        if not is_withdrawn
    ]


def has_disagreement(scores):
    """Return whether values of a criterion are DISAGREEMENT_LEVELS apart in the version of the latest score."""
    if not scores:
        return False
    current, criteria, *_ = scores[0]
    for criterion in json.loads(criteria) if isinstance(criteria, str) else criteria:
        levels = sorted(level["value"] for level in criterion["levels"])
        positions = [
            position(levels, value)
            for version, _, key, value in scores
            if (version, key) == (current, criterion["key"])
        ]
        if positions and max(positions) - min(positions) >= DISAGREEMENT_LEVELS:
            return True
    return False


def position(levels, value):
    """The value's position among the levels; between two levels, by linear interpolation."""
    below = max(n for n, level in enumerate(levels[:-1]) if level <= value or n == 0)
    return below + Fraction(value - levels[below], levels[below + 1] - levels[below])
