"""A candidate's personal data: view, export, erase."""

from collections.abc import Iterator
from typing import Any

import orjson

from access import audit, auth, caller, concurrency
from access.idempotency import idempotent
from blueprints import Blueprint, file_response, find
from models import ApiToken, CandidateKey, Session, privacy
from models.sessions import timeline
from rules.timestamps import format_timestamp
from schemas.base import camel
from schemas.privacy import CandidateData, ErasureDismissal, ErasureRequest, ErasureResponse

blp = Blueprint("Privacy", __name__, description="Retention and erasure of candidates' personal data.")


@blp.get("/candidate/me")
@blp.doc(tags=["Candidate"])
@auth.required(CandidateKey)
@blp.response(200, CandidateData)
def get_own_data():
    """Get my data

    Your stored personal data by kind, your consents, a contact address, and the date when the data will be erased.
    """
    audit.record_candidate(caller, "getOwnData")
    return _get_candidate_data(caller, Session.get_or_none(Session.key == caller))


@blp.get("/candidate/me/export")
@blp.doc(tags=["Candidate"])
@auth.required(CandidateKey)
@concurrency.long_read
@blp.file(
    'JSON Lines: `{"candidate": ...}`, other data from the client, then each event as sent.',
    "JSON Lines file of the candidate's data.",
    example='{"candidate":{}}\n{"id":"1","kind":"prompt","v":1,"ts":"2026-04-02T09:00:00Z","data":{}}\n',
)
def export_own_data():
    """Export my data

    A JSON Lines file with your stored data, other data that your client sent, and each event as sent. Excludes
    reviewers' notes and scores.
    """
    audit.record_candidate(caller, "exportOwnData")
    session = Session.get_or_none(Session.key == caller)
    return file_response(f"candidate-{caller.id}.jsonl", _export(caller, session))


@blp.post("/candidate/me/erasure-request")
@blp.doc(tags=["Candidate"])
@auth.required(CandidateKey)
@blp.response(200, ErasureRequest)
@audit.record_change()
def request_erasure():
    """Request the erasure of my data

    A reviewer decides on the request. Idempotent.
    """
    return {"erasure_requested_at": caller.request_erasure()}


@blp.post("/candidates/<id:candidate_id>/dismiss-erasure-request")
@auth.required(ApiToken, scope="admin")
@idempotent
@blp.arguments(ErasureDismissal)
@blp.response(200, ErasureRequest)
@audit.record_change()
def dismiss_erasure_request(data, candidate_id):
    """Dismiss an erasure request

    For requests that the candidate did not send, for example with a stolen key. Nothing is erased. The candidate sees
    the reason and can request erasure again. Without a pending request, nothing changes.
    """
    _find_key(candidate_id).dismiss_erasure_request(data["reason"])
    return {"erasure_requested_at": None}


@blp.delete("/candidates/<id:candidate_id>/data")
@auth.required(ApiToken, scope="admin")
@blp.response(200, ErasureResponse)
@audit.record_change(prepare=lambda candidate_id: privacy.derive_before_erasure(_find_key(candidate_id)))
def erase_candidate(candidate_id, prepared):
    """Erase a candidate's data

    Erases names, addresses, events, bundles, notes and comments, closes an open session and revokes the key. Anonymous
    metrics remain, so cohort statistics do not change. `copies` names the systems whose notes stay. Also works for
    revoked keys and deleted assessments. Idempotent: a repeated request returns the first receipt.
    """
    key = _find_key(candidate_id)
    return {"receipt": privacy.erase(key, caller, prepared), "copies": privacy.name_copies(key)}


def _find_key(candidate_id: Any) -> CandidateKey:
    """Find the candidate's key, including a revoked one."""
    return find(CandidateKey, candidate_id, CandidateKey.all_visible_to(caller))


def _get_candidate_data(key: Any, session: Session | None) -> dict[str, Any]:
    return {
        "candidate_id": key.id,
        "name": key.candidate_name,
        "email": key.candidate_email,
        "external_id": key.external_id,
        "org_name": key.organization.public_name,
        "contact": key.organization.reply_to,
        "assessment_title": key.assessment.title,
        "session_id": session and session.id,
        "status": key.status_for_candidate,
        "task_read_at": (session or key).task_read_at,
        "consents": list(privacy.consents(key)),
        "stored_data": privacy.stored_data(key, session),
        "retention_days": key.organization.retention_days,
        "retained_until": privacy.retained_until(key, session),
        "erasure_requested_at": key.erasure_requested_at,
        "erasure_dismissal": key.erasure_dismissal,
    }


def _export(key: Any, session: Session | None) -> Iterator[bytes]:
    yield _line({"candidate": CandidateData().dump(_get_candidate_data(key, session))})
    if session is not None:
        for name, row in privacy.submitted_data(session):
            yield _line({name: {camel(column): value for column, value in row.items()}})
        for event in timeline.read_all(session):
            yield timeline.to_json_line(event["envelope"])


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, default=format_timestamp, option=orjson.OPT_PASSTHROUGH_DATETIME) + b"\n"
