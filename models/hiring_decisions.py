"""Hiring decisions. `hired` is also a candidate status (R17)."""

from typing import Any

from errors import NotFinished
from models import visibility
from models.base import clock
from models.feed import FeedEvent
from models.keys import CandidateKey
from models.ledger.integrity import collect_findings
from models.orgs import ApiToken
from models.sessions import Session, mark_hired
from rules import hiring_decisions
from rules.hiring_decisions import Result


def decide(
    key: CandidateKey,
    reviewer: ApiToken | None,
    decision: str,
    reason: str | None = None,
    finding_reason: str | None = None,
) -> None:
    """Store a decision about a locked candidate. Idempotent. Raises NotFinished for `hired` before the session ends.

    finding_reason -- the reason to decide although findings can change the results
    """
    previous = key.decision
    if (decision, reason, finding_reason) == (previous, key.decision_reason, key.decision_finding_reason):
        return
    session = Session.get_or_none(Session.key == key)
    if "hired" in (decision, previous):
        _mark_hired(session, decision == "hired")
    columns: dict[str, Any] = {"decision_reason": reason, "decision_finding_reason": finding_reason}
    # A reason alone is no decision, which would reveal the scores (R49).
    if decision != "undecided" or key.decided_at is not None:
        columns |= {"decided_at": clock.now(), "decided_by": reviewer}
    key.update_columns(decision=decision, **columns)
    if decision != previous:
        payload: dict[str, Any] = {"candidateId": key.id, "assessmentId": key.assessment_id}
        payload |= {"sessionId": session and session.id, "decision": decision, "previousDecision": previous}
        FeedEvent.publish(key.organization_id, "candidate.decided", payload)


def decide_hired(key: CandidateKey, reviewer: ApiToken | None, is_hired: bool) -> None:
    """Mark a locked candidate as hired, or undo it without changing other decisions. Raises NotFinished."""
    if is_hired != (key.decision == "hired"):
        decide(key, reviewer, "hired" if is_hired else "undecided")


def find_warnings(key: CandidateKey, viewer: ApiToken, decision: str) -> list[dict[str, Any]]:
    """Return the warnings about a decision, ignoring totals that are hidden from the viewer (R49)."""
    session = Session.get_or_none(Session.key == key)
    if session is None or decision == "undecided":
        return []
    columns = (Session.id, Session.score_total, Session.score_highest, CandidateKey.decision)
    query = Session.select(*columns).join(CandidateKey)
    others = list(query.where(Session.assessment == key.assessment_id, Session.id != session.id))
    hidden = visibility.hidden_scores(viewer, [session.id, *(other.id for other in others)])
    missing = None
    if key.assessment.rubric_id is None:
        pass
    elif session.id in hidden:
        missing = "You have not scored every criterion."
    elif session.score_total is None:
        missing = "Not every criterion has a score."
    own = _result(session, decision, hidden)
    results = [_result(other, other.key.decision, hidden) for other in others]
    # The stored codes miss what was altered in the database after the worker's check.
    codes = list(dict.fromkeys(finding.code for finding in collect_findings(session)))
    return hiring_decisions.find_warnings(own, results, missing, codes)


def _result(session: Session, decision: str, hidden: set[Any]) -> Result:
    if session.id in hidden:
        return Result(session.id, decision)
    return Result(session.id, decision, session.score_total, session.score_highest)


def _mark_hired(session: Session | None, is_hired: bool) -> None:
    if session is None:
        raise NotFinished()
    mark_hired(session, is_hired)
