"""Sessions: get, close, and submit test results."""

from typing import Any

from access import audit, auth, caller, concurrency, etags, raises
from blueprints import Blueprint, find
from errors import Erased
from models import ApiToken, CandidateKey, Event, Session, Submission, privacy, sessions, visibility
from models.ledger import checkpoints
from models.sessions import CountedEvents
from models.sessions.coverage import read_coverage
from models.tasks.runs import hidden_tests
from schemas.sessions import ReviewedSession, TestResult
from schemas.sessions import Session as CandidateSession

blp = Blueprint("Sessions", __name__, description="Candidates' sessions and their metrics.")


@blp.get("/sessions/<id:session_id>")
@auth.required(ApiToken | CandidateKey)
@etags.with_etag
@concurrency.long_read
@blp.response(200, ReviewedSession)
@audit.record_read
def get_session(session_id):
    """Get a session

    Candidates can get only their own session, without metrics.
    """
    session = find(Session, session_id)
    sessions.close_due(session)
    return session_state(session_id)


@blp.post("/sessions/<id:session_id>/close")
@auth.required(ApiToken, scope="write")
@blp.response(200, ReviewedSession)
@audit.record_change(prepare=lambda session_id: sessions.derive_before_lock(find(Session, session_id)))
def close_session(session_id, prepared):
    """Close a session

    For abandoned sessions. The status becomes `expired`. Idempotent.
    """
    sessions.close(find(Session, session_id), prepared)
    return session_state(session_id)


@blp.put("/sessions/<id:session_id>/test-result")
@auth.required(ApiToken, scope="write")
@raises(Erased)
@blp.arguments(TestResult)
@blp.response(200, ReviewedSession)
@audit.record_change(prepare=lambda data, session_id: sessions.Derivation.of(find(Session, session_id)))
def submit_test_result(data, session_id, prepared):
    """Submit a test result

    The result of tests that a reviewer or an integration ran on the candidate's work. Takes precedence over test runs
    in the session's events, and replaces an earlier result.
    """
    sessions.submit_test_result(find(Session, session_id), **data, derivation=prepared)
    return session_state(session_id)


def session_state(session_id: Any) -> dict[str, Any]:
    """Return the session's current state. Candidates do not receive reviewers' fields."""
    session = Session.visible_to(caller).where(Session.id == session_id).get()
    fields = {name: getattr(session, name) for name in CandidateSession().fields if hasattr(session, name)}
    counted, is_candidate = CountedEvents(session), isinstance(caller, CandidateKey)
    fields |= Event.counts(session, counted) | {
        # Otherwise candidates could see when they are scored or hired (R3).
        "updated_at": (session.closed_at if is_candidate else session.updated_at) or session.created_at,
        "status": session.key.status_for_candidate if is_candidate else session.key.status,
        "org_name": session.organization.public_name,
        "assessment_title": session.assessment.title,
        "retained_until": privacy.retained_until(session.key, session),
        "erasure_requested_at": session.key.erasure_requested_at,
        "submission": Submission.current(session),
        "checkpoint": checkpoints.of_session(session),
    }
    if is_candidate:
        return fields
    fields |= {
        "blind": session.assessment.blind,
        "external_id": session.key.external_id,
        "candidate_name": session.key.candidate_name,
        "candidate_email": session.key.candidate_email,
        "hired_at": session.hired_at,
        "metrics": sessions.api_metrics(session),
        "coverage": read_coverage(session, counted),
        "erased_at": session.key.erased_at,
        "test_result": sessions.get_test_result(session),
        "hidden_tests": hidden_tests([session_id]).get(session_id),
        "decision": session.key.decision,
        "decision_reason": session.key.decision_reason,
        "decision_finding_reason": session.key.decision_finding_reason,
        "decided_at": session.key.decided_at,
        "decided_by": session.key.decided_by and session.key.decided_by.author,
    }
    return visibility.redact_rows(caller, [fields])[0]
