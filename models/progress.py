"""Progress of each assessment: its funnel, and what waits for reviewers.

Four statements, whatever the number of assessments and candidates.
"""

from collections import Counter, defaultdict
from typing import Any

import peewee

from models import overview, scores
from models.assessments import Assessment
from models.deliveries import Delivery
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
    to_score, disagreements = _unscored(organization), _disagreements(reviewer)
    failed = _failed_messages(organization)
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


def _undecided_sessions(organization: Organization) -> Any:
    """Closed sessions with a rubric whose candidates are neither decided about nor erased."""
    query = Session.select().join(CandidateKey, on=(CandidateKey.id == Session.key))
    query = query.join(Assessment, on=(Assessment.id == Session.assessment))
    return query.where(
        CandidateKey.organization == organization,
        CandidateKey.is_redeemed,
        _IS_UNDECIDED,
        CandidateKey.erased_at.is_null(),
        Session.organization == organization,
        Session.closed_at.is_null(False),
        Assessment.deleted_at.is_null(),
        Assessment.rubric.is_null(False),
    )


def _by_assessment(sessions: Any) -> Counter:
    query = sessions.select(Session.assessment, peewee.fn.COUNT(Session.id)).group_by(Session.assessment)
    return Counter(dict(query.tuples()))


def _unscored(organization: Organization) -> Counter:
    """The number of sessions to score by assessment."""
    return _by_assessment(_undecided_sessions(organization).where(Session.score_total.is_null()))


def _disagreements(reviewer: ApiToken) -> Counter:
    """The number of sessions whose reviewers disagree by assessment; for a person, of those that they scored."""
    is_visible = scores.shows_disagreement(reviewer, Session)
    return _by_assessment(_undecided_sessions(reviewer.organization).where(is_visible))


def _failed_messages(organization: Organization) -> Counter:
    """The number of candidates whose latest invitation failed by assessment."""
    query = Delivery.select(CandidateKey.assessment, peewee.fn.COUNT(CandidateKey.id))
    query = query.join(CandidateKey, on=(CandidateKey.invitation_id == Delivery.id))
    query = query.where(
        Delivery.organization == organization, Delivery.state == "failed", CandidateKey.revoked_at.is_null()
    )
    counts: Any = query.group_by(CandidateKey.assessment).tuples()
    return Counter(dict(counts))
