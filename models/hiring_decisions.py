"""Hiring decisions. `hired` is also a candidate status (R17)."""

from typing import Any

from errors import NotFinished
from models.base import clock
from models.feed import FeedEvent
from models.keys import CandidateKey
from models.orgs import ApiToken
from models.sessions import Session, mark_hired


def decide(key: CandidateKey, reviewer: ApiToken | None, decision: str, reason: str | None = None) -> None:
    """Store a decision about a locked candidate. Idempotent. Raises NotFinished for `hired` before the session ends."""
    previous = key.decision
    if (decision, reason) == (previous, key.decision_reason):
        return
    session = Session.get_or_none(Session.key == key)
    if "hired" in (decision, previous):
        _mark_hired(session, decision == "hired")
    now = clock.now()
    key.update_columns(decision=decision, decision_reason=reason, decided_at=now, decided_by=reviewer)
    if decision != previous:
        payload: dict[str, Any] = {"candidateId": key.id, "assessmentId": key.assessment_id}
        payload |= {"sessionId": session and session.id, "decision": decision, "previousDecision": previous}
        FeedEvent.publish(key.organization_id, "candidate.decided", payload)


def decide_hired(key: CandidateKey, reviewer: ApiToken | None, is_hired: bool) -> None:
    """Mark a locked candidate as hired, or undo it without changing other decisions. Raises NotFinished."""
    if is_hired == (key.decision == "hired"):
        _mark_hired(Session.get_or_none(Session.key == key), is_hired)
    else:
        decide(key, reviewer, "hired" if is_hired else "undecided")


def _mark_hired(session: Session | None, is_hired: bool) -> None:
    if session is None:
        raise NotFinished()
    mark_hired(session, is_hired)
