"""Sessions: look at one, close it, submit the result of its tests."""

from typing import Any

from access import audit, auth
from access.auth import caller
from blueprints import Blueprint, find, refuses
from errors import Erased
from models import ApiToken, CandidateKey, Event, Session, privacy, sessions
from schemas.sessions import ReviewedSession, TestResult
from schemas.sessions import Session as CandidateSession

blp = Blueprint("Sessions", __name__, description="What candidates did, and the numbers that come of it.")


@blp.get("/sessions/<id:session_id>")
@auth.required(ApiToken | CandidateKey)
@blp.response(200, ReviewedSession)
@audit.reading
def get_session(session_id):
    """Get a session

    A candidate sees the own session, without metrics.
    """
    session = find(Session, session_id)
    sessions.settle(session)
    return shown(session_id)


@blp.post("/sessions/<id:session_id>/close")
@auth.required(ApiToken, scope="write")
@blp.response(200, ReviewedSession)
@audit.change()
def close_session(session_id):
    """Close a session

    For one that its candidate abandoned; it reads `expired`. Closing a closed one changes nothing.
    """
    sessions.close(find(Session, session_id))
    return shown(session_id)


@blp.put("/sessions/<id:session_id>/test-result")
@auth.required(ApiToken, scope="write")
@refuses(Erased)
@blp.arguments(TestResult)
@blp.response(200, ReviewedSession)
@audit.change()
def submit_test_result(data, session_id):
    """Submit a test result

    Of tests that a reviewer or an integration ran on the candidate's work; it takes precedence over what the
    session's own events tell. A later one replaces it.
    """
    sessions.submit_test_result(
        find(Session, session_id), data["passed"], data["failed"], data.get("skipped"), data.get("note")
    )
    return shown(session_id)


def shown(session_id: Any) -> dict[str, Any]:
    """The session as it is now; what only reviewers see is left out for its candidate."""
    session = Session.visible_to(caller).where(Session.id == session_id).get()
    found = {name: getattr(session, name) for name in CandidateSession().fields if hasattr(session, name)}
    found |= Event.counts(session) | {
        "status": session.key.status,
        "org_name": session.organization.shown_name,
        "assessment_title": session.assessment.title,
        "retained_until": privacy.retained_until(session.key, session),
        "erasure_requested_at": session.key.erasure_requested_at,
    }
    seal = session.seal(found["event_count"] + found["late_event_count"])
    if isinstance(caller, CandidateKey):
        # Before the end it would only invite the question of what is not sealed yet.
        return found | {"seal": seal if session.closed_at is not None and seal["is_whole"] else None}
    return found | {
        "seal": seal,
        "candidate_name": session.key.candidate_name,
        "candidate_email": session.key.candidate_email,
        "hired_at": session.hired_at,
        "metrics": sessions.shown_metrics(session),
        "erased_at": session.key.erased_at,
        "test_result": sessions.submitted_tests(session),
    }
