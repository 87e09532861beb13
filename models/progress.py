"""Progress of each assessment: its funnel, and what waits for reviewers.

Four statements, whatever the number of assessments and candidates.
"""

from collections import Counter, defaultdict
from typing import Any

import peewee

from models import overview, todo
from models.assessments import Assessment
from models.keys import CandidateKey
from models.orgs import ApiToken, Organization
from models.sessions import Session

# A literal, not a parameter: SQLite uses a partial index only if it can compare the conditions.
_IS_UNDECIDED = CandidateKey.decision == peewee.SQL("'undecided'")


def by_assessment(reviewer: ApiToken) -> list[dict[str, Any]]:
    """The funnel of each assessment with candidates, oldest first, and the numbers of what waits."""
    organization = reviewer.organization
    funnels: dict[Any, Counter] = defaultdict(Counter)
    for row in overview.funnel_counts(organization):
        funnels[row["assessment_id"]].update({name: row[name] for name in overview.FUNNEL})
    to_score = _without_score(organization)
    # As the to-do list has them.
    disagreements = todo.by_assessment(todo.disagreements(reviewer))
    failed = todo.by_assessment(todo.failed_messages(reviewer))
    return [
        {
            "assessment_id": row_id,
            "funnel": funnel,
            "waiting": {
                "to_score": to_score[row_id],
                "disagreements": disagreements[row_id],
                "failed_messages": failed[row_id],
            },
        }
        for row_id, funnel in funnels.items()
    ]


def _without_score(organization: Organization) -> Counter:
    """By assessment, closed sessions without a total whose candidates are neither decided about nor erased."""
    query = Session.select(Session.assessment, peewee.fn.COUNT(Session.id))
    query = query.join(CandidateKey, on=(CandidateKey.id == Session.key))
    query = query.join(Assessment, on=(Assessment.id == Session.assessment))
    query = query.where(
        CandidateKey.organization == organization,
        CandidateKey.is_redeemed,
        _IS_UNDECIDED,
        CandidateKey.erased_at.is_null(),
        Session.organization == organization,
        Session.closed_at.is_null(False),
        Session.score_total.is_null(),
        Assessment.deleted_at.is_null(),
        Assessment.rubric.is_null(False),
    )
    counts: Any = query.group_by(Session.assessment).tuples()
    return Counter(dict(counts))
