"""What is held of a candidate: to look at, to take along, and to erase."""

from collections.abc import Iterator
from typing import Any

import orjson
from flask import Response, stream_with_context

from access import audit, auth
from access.auth import caller
from blueprints import Blueprint, find
from models import ApiToken, CandidateKey, Session, privacy, timeline
from rules.timestamps import format_timestamp
from schemas.base import camel
from schemas.privacy import CandidateData, ErasureRequest, OneReceipt

blp = Blueprint("Privacy", __name__, description="What is held of a candidate, until when, and how it goes.")

EXPORT_SHAPE = {
    "type": "string",
    "description": 'JSON Lines: `{"candidate": ...}`, what else the client sent, then each event as it came.',
}


@blp.get("/candidate/me")
@auth.required(CandidateKey)
@blp.response(200, CandidateData)
def get_own_data():
    """What is held of me

    What, from when to when, by whom, on which consent, and until when it is kept.
    """
    audit.record_candidate(caller, "getOwnData")
    return _told(caller, Session.get_or_none(Session.key == caller))


@blp.get("/candidate/me/export")
@auth.required(CandidateKey)
@blp.alt_response(
    200,
    schema=EXPORT_SHAPE,
    content_type="application/x-ndjson",
    description="The candidate's data as a file.",
)
def export_own_data():
    """Take my data along

    All that came from the candidate as one JSON Lines file: what is held, what the client handed in, and each event
    as it came. What reviewers think of it is theirs.
    """
    audit.record_candidate(caller, "exportOwnData")
    lines = _export(caller, Session.get_or_none(Session.key == caller))
    name = f'attachment; filename="candidate-{caller.id}.jsonl"'
    return Response(
        stream_with_context(lines), mimetype="application/x-ndjson", headers={"Content-Disposition": name}
    )


@blp.post("/candidate/me/erasure-request")
@auth.required(CandidateKey)
@blp.response(200, ErasureRequest)
@audit.change()
def request_erasure():
    """Ask for the erasure of my data

    Reviewers see the request; it is theirs to carry out. Asking again changes nothing.
    """
    return {"erasure_requested_at": caller.request_erasure()}


@blp.delete("/candidates/<id:candidate_id>/data")
@auth.required(ApiToken, scope="write")
@blp.response(200, OneReceipt)
@audit.change()
def erase_candidate(candidate_id):
    """Erase a candidate's data

    Names, addresses, events, contents, bundles and what was written about the candidate go, and the key is revoked;
    an open session is closed first. The numbers stay without a person, so that the cohort's statistics do not
    move. Revoked keys and those of deleted assessments are found too. Erasing again answers the first receipt.
    """
    return {"receipt": privacy.erase(find(CandidateKey, candidate_id, CandidateKey.of_organization), caller)}


def _told(key: Any, session: Session | None) -> dict[str, Any]:
    return {
        "candidate_id": key.id,
        "name": key.candidate_name,
        "email": key.candidate_email,
        "org_name": key.organization.shown_name,
        "contact": key.organization.reply_to,
        "assessment_title": key.assessment.title,
        "session_id": session and session.id,
        "status": key.status,
        "consents": privacy.consents(key),
        "held": privacy.stored_data(key, session),
        "retention_days": key.organization.retention_days,
        "retained_until": privacy.retained_until(key, session),
        "erasure_requested_at": key.erasure_requested_at,
    }


def _export(key: Any, session: Session | None) -> Iterator[bytes]:
    yield _line({"candidate": CandidateData().dump(_told(key, session))})
    if session is None:
        return
    for name, row in privacy.submitted_data(session):
        yield _line({name: {camel(column): value for column, value in row.items()}})
    for event in timeline.read_all(session):
        yield timeline.jsonl(event["envelope"])


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, default=format_timestamp, option=orjson.OPT_PASSTHROUGH_DATETIME) + b"\n"
