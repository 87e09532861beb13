"""The event stream of a candidate's client (client contract, sections 3.8, 5 and 6)."""

import marshmallow as ma
from flask import g, request

from access import auth
from access.auth import caller
from access.rate_limits import INGEST, counts_under
from blueprints import Blueprint, refuses, require_own
from errors import NotFound, NotRedeemed, Refusal, SessionClosed
from models import Arrival, CandidateKey, Session
from rules.envelopes import label
from schemas.candidate_session import Envelope, EnvelopeBatch, Ingested, IngestedBatch
from web.access_log import note_late_events
from web.json import DECODER, LONGEST_EVENT_BYTES, body_limit, reasons, strict_object

blp = Blueprint("Events", __name__, description="What happens while a candidate works.")


@blp.post("/hooks/ingest")
@counts_under(INGEST)
@auth.required(CandidateKey, chain=auth.REMEMBERED)
@body_limit(LONGEST_EVENT_BYTES)
@refuses(NotFound, NotRedeemed, SessionClosed)
@blp.arguments(Envelope)
@blp.response(201, Ingested)
@blp.alt_response(200, schema=Ingested, description="The id was there already; nothing is stored twice.")
def ingest(envelope):
    """Ingest an event

    Answered once it is stored for good. Kinds and members that are not known are welcome. An id counts once in its
    session.
    """
    if "session_id" in envelope and caller.own_session_id is None:
        # R5: that it is none of the key's own goes before that the key has none yet.
        raise NotFound()
    session = Session.named_by(caller._get_current_object())
    _require_own_event(envelope, session)
    arrival = Arrival(g.body, envelope["ts"], request.get_data(as_text=True))
    (outcome,) = session.append(arrival)
    note_late_events(outcome == "late")
    if outcome == "skipped":
        return {"ok": True, "skipped": True}, 200
    return {"ok": True, "late": True} if outcome == "late" else {"ok": True}


@blp.post("/hooks/ingest/batch")
@counts_under(INGEST)
@auth.required(CandidateKey)
@body_limit(LONGEST_EVENT_BYTES)
@refuses(NotRedeemed)
@blp.arguments(EnvelopeBatch)
@blp.response(200, IngestedBatch)
def ingest_batch(data):
    """Ingest a batch of events

    Up to 500 envelopes, answered one by one: `created`, `skipped` (its id was there already), `late` (stored, counts
    in nothing) or `refused` with the reason. All that are accepted are stored together; one that is refused refuses
    no other.
    """
    session = Session.named_by(caller)
    read = [_read(text, session) for text in data["events"]]
    outcomes = _outcomes(session, [found for found in read if isinstance(found, Arrival)])
    return {"results": [next(outcomes) if isinstance(found, Arrival) else found for found in read]}


def _require_own_event(envelope, session):
    """An event need not name its session."""
    if "session_id" in envelope:
        require_own(session, envelope["session_id"])


def _read(text, session):
    """The arrival of one envelope of a batch, or the result that refuses it."""
    try:
        members = strict_object(text.encode(), Envelope.verbatim)
        envelope = Envelope().load(members)
        _require_own_event(envelope, session)
        return Arrival(members, envelope["ts"], text)
    except (Refusal, ma.ValidationError) as error:
        return {"id": _id_of(text), "status": "refused", "error": " ".join(reasons(error))}


def _id_of(text):
    try:
        found = DECODER.decode(text)
    except RecursionError:
        return None
    return label(found.get("id")) if isinstance(found, dict) else None


def _outcomes(session, arrivals):
    try:
        outcomes = session.append(*arrivals) if arrivals else []
    except SessionClosed as error:
        return iter(
            [{"id": each.envelope["id"], "status": "refused", "error": error.sentence} for each in arrivals]
        )
    note_late_events(outcomes.count("late"))
    pairs = zip(arrivals, outcomes, strict=True)
    return iter([{"id": arrival.envelope["id"], "status": outcome} for arrival, outcome in pairs])
