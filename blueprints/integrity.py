"""Integrity of a session's recording, and its signed log."""

from collections.abc import Iterator

import orjson
from flask import Response, stream_with_context

from access import audit, auth, concurrency
from blueprints import Blueprint, find
from models import ApiToken, CandidateKey, Event, Session, SigningKey
from models.ledger import checkpoints
from models.ledger.integrity import collect_findings
from models.sessions import signed_log
from schemas.integrity import Integrity, SignedEvent, SignedLog

blp = Blueprint("Integrity", __name__, description="Integrity of a session's recording.")


@blp.get("/sessions/<id:session_id>/integrity")
@auth.required(ApiToken)
@concurrency.long_read
@blp.response(200, Integrity)
@audit.record_read
def get_integrity(session_id):
    """Check a session's integrity

    Compares the session's data with the ledger and its channels with each other, recomputes its metrics, and checks the
    client's signatures and the order of its events. Returns findings with explanations, but no score.
    """
    session = find(Session, session_id)
    verdicts = signed_log.count_verdicts(session)
    recorded = Event.select().where(Event.session == session, Event.seq <= session.listed_seq).count()
    return {
        "counts": {name: verdicts[name] for name in ("valid", "invalid", "unsigned", "unknown_key")}
        | {
            "events": verdicts.total(),
            "not_judged": verdicts[None],
            "recorded": recorded,
            "not_recorded": verdicts.total() - recorded,
        },
        "public_keys": SigningKey.of(session),
        "checkpoint": checkpoints.of_session(session),
        "findings": collect_findings(session),
    }


@blp.get("/sessions/<id:session_id>/signed-log")
@auth.required(ApiToken | CandidateKey)
@concurrency.long_read
@blp.response(200, SignedLog)
@audit.record_read
def get_signed_log(session_id):
    """Get the signed log

    Signed events in chain order, with their envelopes as sent. The client's `verify` command reads this format.
    """
    session = find(Session, session_id)
    return Response(stream_with_context(_signed_log(session)), mimetype="application/json")


def _signed_log(session: Session) -> Iterator[bytes]:
    """Stream a SignedLog, which can be as large as the session's events."""
    keys, schema = SigningKey.of(session), SignedEvent()
    head = orjson.dumps({"sessionId": str(session.id), "signingPubkey": keys[0] if keys else ""})
    yield head.removesuffix(b"}") + b',"events":['
    for number, entry in enumerate(signed_log.signed_log(session, keys)):
        event = schema.dump(entry | {"payload": orjson.Fragment(entry["payload"])})
        if number:
            yield b","
        yield orjson.dumps(event)
    yield b"]}\n"
