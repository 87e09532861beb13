"""Events from a candidate's client (docs/candidate-client.md, 3.8)."""

import marshmallow as ma
from flask import g

from access import auth, caller, concurrency, raises, rate_limits
from blueprints import Blueprint, session_quota
from errors import ApiError, BatchTooLarge, NotFound, NotRedeemed, SessionClosed, SessionFull
from models import CandidateKey, ReceivedEvent, Session, sessions
from rules.events.envelopes import label
from schemas.candidate_session import Envelope, EnvelopeBatch, Ingested, IngestedBatch
from schemas.fields import parse_id
from web.access_log import record_caller, record_late_events
from web.json import LENIENT, MAX_EVENT_BYTES, body_limit, get_messages, parse_and_load

blp = Blueprint("Events", __name__, description="Events from a candidate's client.")

ENVELOPE = Envelope()


@blp.post("/hooks/ingest")
@rate_limits.limit(rate_limits.INGEST)
@auth.checked_by_view
@concurrency.large_body
@body_limit(MAX_EVENT_BYTES)
@raises(NotFound, NotRedeemed, SessionClosed, SessionFull)
@blp.arguments(Envelope)
@blp.response(201, Ingested)
@blp.alt_response(200, schema=Ingested, description="The event's id already exists. The event is not stored.")
def ingest_event(envelope):
    """Ingest an event

    Responds once the event is durably stored. Unknown kinds and fields are accepted. An event whose id was already
    received in the session is skipped.
    """
    event = ReceivedEvent.of(g.pop("body"), envelope["ts"], g.pop("text"))
    if key_id := _store(event, envelope):
        record_caller("candidate", key_id)
        return {"ok": True}
    key = auth.authenticate(CandidateKey)
    session = Session.get_or_none(Session.key == key)
    _check_session_id(session, envelope)
    if session is None:
        raise NotRedeemed()
    (outcome,) = sessions.append(session, event, quota=session_quota())
    if outcome == "full":
        raise SessionFull()
    record_late_events(outcome == "late")
    if outcome == "skipped":
        return {"ok": True, "skipped": True}, 200
    return {"ok": True, "late": True} if outcome == "late" else {"ok": True}


def _store(event, envelope):
    """Store the event in one query if the session is open. Return the key's id, or None if nothing was stored."""
    sent_id = envelope.get("session_id")
    session_id = None if sent_id is None else parse_id(sent_id)
    if sent_id is not None and session_id is None:
        return None
    return sessions.store_if_open(auth.presented_key(), event, session_quota(), session_id)


def _check_session_id(session, envelope):
    """Raise NotFound unless the envelope's session, if any, is the key's and has started (R5, R29)."""
    if "session_id" in envelope and (session is None or parse_id(envelope["session_id"]) != session.id):
        raise NotFound()


@blp.post("/hooks/ingest/batch")
@rate_limits.limit(rate_limits.INGEST)
@auth.required(CandidateKey)
@concurrency.large_body
@body_limit(MAX_EVENT_BYTES)
@raises(NotRedeemed, BatchTooLarge)
@blp.arguments(EnvelopeBatch)
@blp.response(200, IngestedBatch)
def ingest_batch(data):
    """Ingest a batch of events

    Accepts up to 500 envelopes. Each result is `created`, `skipped` (the id already exists), `late` (stored but not
    counted), or `rejected` with the reason. All accepted events are stored in one transaction.
    """
    session = Session.get_for_key(caller)
    entries = [_parse_envelope(text, session) for text in data["events"]]
    results = iter(_append(session, [entry for entry in entries if isinstance(entry, ReceivedEvent)]))
    return {"results": [next(results) if isinstance(entry, ReceivedEvent) else entry for entry in entries]}


def _parse_envelope(text, session):
    """Parse one of a batch's envelopes. Return a ReceivedEvent, or the result if it is rejected."""
    try:
        fields, envelope = parse_and_load(ENVELOPE, text)
        _check_session_id(session, envelope)
        return ReceivedEvent.of(fields, envelope["ts"], text)
    except NotFound:
        return _rejected(_parse_event_id(text), "sessionId: Not this key's session.")
    except (ApiError, ma.ValidationError) as error:
        return _rejected(_parse_event_id(text), " ".join(get_messages(error)))


def _parse_event_id(text):
    try:
        fields = LENIENT.decode(text)
    except RecursionError:
        return None
    return label(fields.get("id")) if isinstance(fields, dict) else None


def _append(session, events):
    """Append the events. Return their results in order."""
    try:
        outcomes = sessions.append(session, *events, quota=session_quota()) if events else []
    except SessionClosed as error:
        return [_rejected(event.event_id, error.message) for event in events]
    record_late_events(outcomes.count("late"))
    return [
        _rejected(event.event_id, SessionFull.message)
        if outcome == "full"
        else {"id": event.event_id, "status": outcome}
        for event, outcome in zip(events, outcomes, strict=True)
    ]


def _rejected(event_id, message):
    return {"id": event_id, "status": "rejected", "error": message}
