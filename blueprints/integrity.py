"""Integrity of a session's recording, and its signed log."""

from collections.abc import Iterator

import orjson
from flask import Response, stream_with_context

from access import audit, auth, concurrency
from blueprints import Blueprint, find
from models import ApiToken, CandidateKey, FinalSeal, Session, SigningKey
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

    Checks the client's signatures, the order of its events, the server's seals, and the values derived from events.
    Returns findings with explanations, but no score. Without `SEAL_KEYS`, only a comparison with archived anchors
    (`flask seals verify --anchors`) detects a rewrite of the whole recording.
    """
    session = find(Session, session_id)
    verdicts = signed_log.count_verdicts(session)
    return {
        "counts": {name: verdicts[name] for name in ("valid", "invalid", "unsigned", "unknown_key")}
        | {
            "events": verdicts.total(),
            "not_judged": verdicts[None],
            "sealed": session.sealed_count,
            "unsealed": max(0, verdicts.total() - session.sealed_count),
        },
        "public_keys": SigningKey.of(session),
        "seal": session.seal(verdicts.total()),
        "final_seal": FinalSeal.newest(session),
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
