"""Events from a candidate's client (docs/candidate-client.md#38-ingest)."""

import marshmallow as ma
from flask import g, request

from access import auth, rate_limits
from access.auth import caller
from blueprints import Blueprint, refuses, require_own
from errors import NotFound, NotRedeemed, Refusal, SessionClosed
from models import Arrival, CandidateKey, Session, sessions
from rules.envelopes import label
from schemas.candidate_session import Envelope, EnvelopeBatch, Ingested, IngestedBatch
from schemas.fields import parse_id
from web.access_log import record_caller, record_late_events
from web.json import LENIENT, MAX_EVENT_BYTES, body_limit, load_strict, reasons

ENVELOPE = Envelope()

blp = Blueprint("Events", __name__, description="What happens while a candidate works.")


@blp.post("/hooks/ingest")
@rate_limits.limit(rate_limits.INGEST)
@auth.checked_by_statement
@body_limit(MAX_EVENT_BYTES)
@refuses(NotFound, NotRedeemed, SessionClosed)
@blp.arguments(Envelope)
@blp.response(201, Ingested)
@blp.alt_response(200, schema=Ingested, description="The event's id exists already; nothing is stored.")
def ingest(envelope):
    """Ingest an event

    The response means that the event is stored durably. Unknown kinds and members are accepted. An id counts once in
    its session.
    """
    arrival = Arrival(g.body, envelope["ts"], request.get_data(as_text=True))
    if key_id := _store(arrival, envelope):
        record_caller("candidate", key_id)
        return {"ok": True}
    session = _session_of(auth.authenticate(CandidateKey), envelope)
    (outcome,) = sessions.append(session, arrival)
    record_late_events(outcome == "late")
    if outcome == "skipped":
        return {"ok": True, "skipped": True}, 200
    return {"ok": True, "late": True} if outcome == "late" else {"ok": True}


def _store(arrival, envelope):
    """Store the event of an open session in one statement; returns the key's id, None if it takes a closer look."""
    session_id = envelope.get("session_id")
    if session_id is not None and parse_id(session_id) is None:
        return None
    return sessions.store_if_open(auth.presented_key(), arrival, session_id and parse_id(session_id))


def _session_of(key, envelope):
    """The key's session. A wrong `sessionId` is refused before a missing session is (R5)."""
    if "session_id" in envelope and (
        key.session_id is None or parse_id(envelope["session_id"]) != key.session_id
    ):
        raise NotFound()
    return Session.of_key(key)


@blp.post("/hooks/ingest/batch")
@rate_limits.limit(rate_limits.INGEST)
@auth.required(CandidateKey)
@body_limit(MAX_EVENT_BYTES)
@refuses(NotRedeemed)
@blp.arguments(EnvelopeBatch)
@blp.response(200, IngestedBatch)
def ingest_batch(data):
    """Ingest a batch of events

    Up to 500 envelopes, each with a result of its own: `created`, `skipped` (its id exists), `late` (stored, counts in
    nothing) or `refused` with the reason. All accepted events are stored together.
    """
    session = Session.of_key(caller)
    read = [_read(text, session) for text in data["events"]]
    outcomes = _outcomes(session, [found for found in read if isinstance(found, Arrival)])
    return {"results": [next(outcomes) if isinstance(found, Arrival) else found for found in read]}


def _read(text, session):
    """Read one envelope of a batch: its arrival, or the result that refuses it."""
    try:
        members, envelope = load_strict(ENVELOPE, text.encode())
        if "session_id" in envelope:
            require_own(session, envelope["session_id"])
        return Arrival(members, envelope["ts"], text)
    except (Refusal, ma.ValidationError) as error:
        return {"id": _id_of(text), "status": "refused", "error": " ".join(reasons(error))}


def _id_of(text):
    try:
        members = LENIENT.decode(text)
    except RecursionError:
        return None
    return label(members.get("id")) if isinstance(members, dict) else None


def _outcomes(session, arrivals):
    try:
        outcomes = sessions.append(session, *arrivals) if arrivals else []
    except SessionClosed as error:
        return iter(
            [{"id": each.envelope["id"], "status": "refused", "error": error.sentence} for each in arrivals]
        )
    record_late_events(outcomes.count("late"))
    pairs = zip(arrivals, outcomes, strict=True)
    return iter([{"id": arrival.envelope["id"], "status": outcome} for arrival, outcome in pairs])
