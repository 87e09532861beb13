"""Whether a session's record is whole and unchanged, and what was submitted with it."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import orjson
from flask import Response, stream_with_context

from access import audit, auth
from blueprints import Blueprint, find, or_not_found, refuses, release_connection, store
from errors import BundleChanged, NotFound, StoreUnavailable
from models import ApiToken, CandidateKey, Seal, Session, SigningKey, Submission, signed_log
from rules import integrity
from schemas.integrity import BundleListing, Integrity, SignedEvent, SignedLog, Submissions
from storage import CONTENT_TYPE, bundle_listing

blp = Blueprint(
    "Integrity", __name__, description="Whether a record is whole and unchanged; what was submitted."
)


@blp.get("/sessions/<id:session_id>/integrity")
@auth.required(ApiToken)
@blp.response(200, Integrity)
@audit.reading
def get_integrity(session_id):
    """Check a session's record

    Signatures of the client, the order of its events, and the server's own seal on what it accepted: what stands
    out is named, with an explanation. Facts, no score. The seal is written by the worker some seconds after an event;
    nothing is promised about what is not sealed yet, nor against somebody who can rewrite the whole database, unless
    its head was written down elsewhere.
    """
    session = find(Session, session_id)
    verdicts = signed_log.verdicts(session)
    counts = {name: verdicts.get(name, 0) for name in ("valid", "invalid", "unsigned", "unknown_key")}
    counts |= {
        "events": verdicts.total(),
        "not_judged": verdicts.get(None, 0),
        "sealed": session.sealed_count,
    }
    counts["unsealed"] = max(0, counts["events"] - session.sealed_count)
    if session.key.erased_at is not None:
        found = [integrity.ERASED]
    else:
        found = integrity.facts(
            Seal.breaks(session), signed_log.chain_of(session), signed_log.invalid(session)
        )
    return {
        "counts": counts,
        "public_keys": SigningKey.of(session),
        "seal": session.seal(counts["events"]),
        "facts": found,
    }


@blp.get("/sessions/<id:session_id>/signed-log")
@auth.required(ApiToken | CandidateKey)
@blp.response(200, SignedLog)
@audit.reading
def get_signed_log(session_id):
    """Get the signed log

    The signed events in the order of their chain, each with its envelope as it was sent. The client's `verify` reads
    it.
    """
    session = find(Session, session_id)
    return Response(stream_with_context(_signed_log(session)), mimetype="application/json")


@blp.get("/sessions/<id:session_id>/submissions")
@auth.required(ApiToken)
@blp.response(200, Submissions)
@audit.reading
def list_submissions(session_id):
    """List a session's submissions

    Clients submit snapshots while they work; the latest whose bundle is in the store as it was told is the one that
    counts. Of the others only the facts are kept.
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

    The gzip-compressed tar as the candidate's client uploaded it. Look at its list of files before you unpack it.
    """
    submission = _with_bundle(session_id)
    name = f"session-{session_id}.tar.gz"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(submission.bundle_size),
    }
    return Response(store().chunks(_place(submission)), mimetype=CONTENT_TYPE, headers=headers)


@blp.get("/sessions/<id:session_id>/bundle/files")
@auth.required(ApiToken)
@refuses(NotFound, BundleChanged, StoreUnavailable)
@blp.response(200, BundleListing)
@audit.reading
def list_bundle_files(session_id):
    """List the files of a session's bundle

    Read from the bundle without unpacking it, up to limits on count, size and names. What must not be unpacked as it
    is (absolute names, links, devices) says so.
    """
    submission = _with_bundle(session_id)
    with closing(store().open(_place(submission))) as stream:
        listing = bundle_listing.list_bundle(stream)
    return {"submission": submission, "files": listing.entries, "problem": listing.problem}


def _signed_log(session: Session) -> Iterator[bytes]:
    """A SignedLog piece by piece: with its envelopes it is as large as the session."""
    keys, shape = SigningKey.of(session), SignedEvent()
    head = orjson.dumps({"sessionId": str(session.id), "signingPubkey": keys[0] if keys else ""})
    yield head.removesuffix(b"}") + b',"events":['
    for number, entry in enumerate(signed_log.signed_log(session)):
        event = shape.dump(entry | {"payload": orjson.Fragment(entry["payload"])})
        yield (b"," if number else b"") + orjson.dumps(event)
    yield b"]}\n"


def _with_bundle(session_id: Any) -> Submission:
    """The session's submission, whose bundle is still the one that was verified."""
    submission = or_not_found(Submission.current(find(Session, session_id)))
    release_connection()
    # The client's address takes several PUTs, of which a later one might come after the submission.
    found = store().size_and_sha256(_place(submission))
    if found != (submission.found_size, submission.found_sha256):
        raise BundleChanged()
    return submission


def _place(submission: Submission) -> str:
    upload: Any = submission.upload
    return upload.object_key
