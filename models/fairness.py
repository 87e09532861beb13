"""Compare selection rates between groups of an assessment's candidates. The groups are not stored."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from errors import Invalid
from models.assessments import Assessment
from models.keys import CandidateKey
from rules.statistics import fairness

MAX_DETAILS = 100


def compare_groups(assessment: Assessment, groups: Mapping[str, str]) -> dict[str, Any]:
    """Compare the selection rates of groups (rules/statistics/fairness.py). Raises Invalid.

    `unknown` counts decided candidates without a group.

    groups -- groups by candidate id or external id; revoked and erased candidates are allowed
    """
    columns: Any = (CandidateKey.id, CandidateKey.external_id, CandidateKey.revoked_at, CandidateKey.decision)
    rows: Any = CandidateKey.select(*columns).where(CandidateKey.assessment == assessment).tuples()
    decisions = {row_id: decision for row_id, _, _, decision in rows}
    ids = {str(row_id): row_id for row_id in decisions}
    not_revoked = [(external_id, row_id) for row_id, external_id, revoked_at, _ in rows if revoked_at is None]
    by_external_id = dict(not_revoked)
    ambiguous = {name for name, number in Counter(name for name, _ in not_revoked).items() if number > 1}
    group_by_id: dict[Any, str] = {}
    problems = {}
    for name, group in groups.items():
        row_id = ids.get(name.lower(), by_external_id.get(name))
        if row_id is None:
            problems[name] = "No such candidate in this assessment."
        elif name in ambiguous and name.lower() not in ids:
            problems[name] = "Several candidates have this externalId. Use their ids."
        elif group_by_id.setdefault(row_id, group) != group:
            problems[name] = "This candidate is in several groups."
    if problems:
        details = [{"path": ["groups", name], "message": message} for name, message in problems.items()]
        raise Invalid(details=details[:MAX_DETAILS])
    unknown = sum(
        decision != "undecided" for row_id, decision in decisions.items() if row_id not in group_by_id
    )
    comparison = fairness.compare((group, decisions[row_id]) for row_id, group in group_by_id.items())
    return comparison | {"unknown": unknown}
