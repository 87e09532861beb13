"""Integrity of a session's record, its signed log, and its submissions."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import orjson
from flask import Response, stream_with_context

from access import audit, auth, concurrency, refuses
from blueprints import (
    Blueprint,
    file_response,
    find,
    or_not_found,
    release_connection,
    require_unchanged,
    store,
)
from errors import BundleChanged, NotFound, StoreUnavailable
from models import ApiToken, CandidateKey, FinalSeal, Session, SigningKey, Submission
from models.ledger.integrity import find_all
from models.sessions import signed_log
from schemas.integrity import BundleListing, Integrity, SignedEvent, SignedLog, Submissions
from storage import CONTENT_TYPE, bundle_listing

blp = Blueprint("Integrity", __name__, description="Integrity of a session's record, and its submissions.")


@blp.get("/sessions/<id:session_id>/integrity")
@auth.required(ApiToken)
@concurrency.long_read
@blp.response(200, Integrity)
@audit.reading
def get_integrity(session_id):
    """Check a session's record

    Checks the client's signatures, the order of its events, the server's seals, and the values derived from events.
    Reports findings with explanations and without a score. Without `SEAL_KEYS`, a rewrite of the whole record is
    detected only by comparing it with archived anchors (`flask seals verify --anchors`).
    """
    session = find(Session, session_id)
    counts, public_keys = _event_counts(session), SigningKey.of(session)
    return {
        "counts": counts,
        "public_keys": public_keys,
        "seal": session.seal(counts["events"]),
        "final_seal": FinalSeal.newest(session),
        "findings": find_all(session, has_signing_key=bool(public_keys)),
    }


@blp.get("/sessions/<id:session_id>/signed-log")
@auth.required(ApiToken | CandidateKey)
@concurrency.long_read
@blp.response(200, SignedLog)
@audit.reading
def get_signed_log(session_id):
    """Get the signed log

    The signed events in chain order, each with its envelope as sent. The client's `verify` command reads this format.
    """
    session = find(Session, session_id)
    return Response(stream_with_context(_signed_log(session)), mimetype="application/json")


@blp.get("/sessions/<id:session_id>/submissions")
@auth.required(ApiToken)
@concurrency.long_read
@blp.response(200, Submissions)
@audit.reading
def list_submissions(session_id):
    """List a session's submissions

    Clients also submit snapshots of the work in progress. The latest verified submission counts. Of the others, only
    metadata is kept, not the code, of the newest 100.
    """
    return {"submissions": Submission.of(find(Session, session_id))}


@blp.get("/sessions/<id:session_id>/bundle")
@auth.required(ApiToken)
@refuses(NotFound, BundleChanged, StoreUnavailable)
@blp.response(
    200, {"type": "string", "format": "binary"}, content_type=CONTENT_TYPE, description="The bundle."
)
@audit.reading
def download_bundle(session_id):
    """Download a session's bundle

    The gzip-compressed tar as the candidate's client uploaded it. List its files before you unpack it.
    """
    submission = _find_unchanged(session_id)
    chunks = store().chunks(submission.upload.object_key)
    response = file_response(f"session-{session_id}.tar.gz", chunks, CONTENT_TYPE)
    response.content_length = submission.bundle_size
    return response


@blp.get("/sessions/<id:session_id>/bundle/files")
@auth.required(ApiToken)
@concurrency.long_read
@refuses(NotFound, BundleChanged, StoreUnavailable)
@blp.response(200, BundleListing)
@audit.reading
def list_bundle_files(session_id):
    """List the files of a session's bundle

    Reads the bundle without unpacking it, up to limits on entries, size and time. Unsafe entries, such as absolute
    names, links and devices, are marked.
    """
    submission = _find_unchanged(session_id, with_content=True)
    with closing(store().open(submission.upload.object_key)) as stream:
        listing = bundle_listing.list_bundle(stream)
    return {"submission": submission, "files": listing.entries, "problem": listing.problem}


def _event_counts(session: Session) -> dict[str, int]:
    verdicts = signed_log.count_verdicts(session)
    counts = {name: verdicts.get(name, 0) for name in ("valid", "invalid", "unsigned", "unknown_key")}
    return counts | {
        "events": verdicts.total(),
        "not_judged": verdicts.get(None, 0),
        "sealed": session.sealed_count,
        "unsealed": max(0, verdicts.total() - session.sealed_count),
    }


def _signed_log(session: Session) -> Iterator[bytes]:
    """Stream a SignedLog, which is as large as the session."""
    keys, shape = SigningKey.of(session), SignedEvent()
    head = orjson.dumps({"sessionId": str(session.id), "signingPubkey": keys[0] if keys else ""})
    yield head.removesuffix(b"}") + b',"events":['
    for number, entry in enumerate(signed_log.signed_log(session, keys)):
        event = shape.dump(entry | {"payload": orjson.Fragment(entry["payload"])})
        if number:
            yield b","
        yield orjson.dumps(event)
    yield b"]}\n"


def _find_unchanged(session_id: Any, with_content: bool = False) -> Any:
    """The session's submission. Raises BundleChanged if its bundle was replaced."""
    submission = or_not_found(Submission.current(find(Session, session_id), with_content))
    release_connection()
    require_unchanged(submission.upload.object_key, submission.found_size, submission.found_sha256)
    return submission
