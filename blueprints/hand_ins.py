"""Hand-ins: the candidate's upload, and the final diff for reviewers (docs/workspace.md#submissions)."""

from typing import Any

from flask import request
from werkzeug.exceptions import ClientDisconnected

import errors
from access import audit, auth, caller, refuses
from blueprints import (
    Blueprint,
    file_response,
    find,
    or_not_found,
    page,
    release_connection,
    require_unchanged,
    setting,
    store,
)
from models import ApiToken, CandidateKey, HandIn, HandInFile, Session, db
from models.sessions.hand_ins import GIT, ZIP
from schemas.hand_ins import FinalDiff, Received
from schemas.queries import PageQuery
from storage import MAX_BUNDLE_BYTES, HashedStream, checked_length, new_object_key

blp = Blueprint("Hand-ins", __name__, description="Candidates' hand-ins, and the final diff.")

FORMATS = {"application/x-git-bundle": GIT, "application/zip": ZIP}
SUFFIXES = {GIT: "bundle", ZIP: "zip"}
FIRST_BYTES = {GIT: (b"# v2 git bundle\n", b"# v3 git bundle\n"), ZIP: (b"PK\x03\x04", b"PK\x05\x06")}
MEDIA_TYPES = {format: media_type for media_type, format in FORMATS.items()}


@blp.put("/candidate/hand-in")
@blp.doc(tags=["Candidate"])
@auth.required(CandidateKey)
@refuses(
    errors.NotAHandIn,
    errors.HandInType,
    errors.NotRedeemed,
    errors.AssessmentClosed,
    errors.LengthRequired,
    errors.Incomplete,
    errors.TooLarge,
    errors.SessionFull,
    errors.StoreUnavailable,
)
@blp.response(200, Received)
def receive_hand_in():
    """Hand in the work

    The body is a git bundle (`application/x-git-bundle`) or a zip archive (`application/zip`) of at most 128 MiB. It is
    stored completely or not at all. It can be sent again; the latest one counts. Accepted until ten minutes after the
    session has closed.
    """
    format, max_bytes = FORMATS.get(request.mimetype), setting("SESSION_MAX_BYTES")
    if format is None:
        raise errors.HandInType()
    session, length = Session.of_key(caller), checked_length(request.content_length)
    if not length:
        raise errors.NotAHandIn()
    object_key = new_object_key(str(session.id), SUFFIXES[format])
    upload = HandIn.reserve(session, object_key, length, max_bytes)
    release_connection()
    request.max_content_length = MAX_BUNDLE_BYTES
    stream = HashedStream(_Body(request.stream, FIRST_BYTES[format]))
    try:
        store().prepare()
        store().receive(object_key, stream, length)
        with db.atomic():
            hand_in = HandIn.record(upload, format, length, stream.sha256, max_bytes)
            audit.record_candidate(caller, "receiveHandIn")
    except Exception:
        upload.delete_with_object()
        raise
    return {"hand_in": hand_in}


class _Body:
    """A request's body. `read` raises NotAHandIn unless it starts with one of these texts, and Incomplete."""

    def __init__(self, stream: Any, starts: tuple[bytes, ...]):
        self._stream, self._starts = stream, starts

    def read(self, size: int = -1, /) -> bytes:
        data = self._read(size)
        if self._starts:
            longest = max(map(len, self._starts))
            while len(data) < min(size, longest) and (more := self._read(longest - len(data))):
                data += more
            if not data.startswith(self._starts):
                raise errors.NotAHandIn()
            self._starts = ()
        return data

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except ClientDisconnected:
            raise errors.Incomplete() from None


@blp.get("/sessions/<id:session_id>/hand-in")
@auth.required(ApiToken)
@refuses(errors.NotFound, errors.BundleChanged, errors.StoreUnavailable)
@blp.response(
    200,
    {"type": "string", "format": "binary"},
    content_type=MEDIA_TYPES[GIT],
    description="The git bundle; a zip archive is `application/zip`.",
)
@audit.reading
def download_hand_in(session_id):
    """Download a session's hand-in

    The git bundle or the zip archive as the candidate sent it. Clone a bundle with `git clone hand-in.bundle`. Its
    content is the candidate's: do not run it outside a sandbox.
    """
    hand_in = or_not_found(HandIn.current(find(Session, session_id)))
    release_connection()
    object_key = hand_in.upload.object_key
    require_unchanged(object_key, hand_in.size, hand_in.sha256)
    name = f"hand-in-{session_id}.{SUFFIXES[hand_in.format]}"
    response = file_response(name, store().chunks(object_key), MEDIA_TYPES[hand_in.format])
    response.content_length = hand_in.size
    return response


@blp.get("/sessions/<id:session_id>/final-diff")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, FinalDiff)
@audit.reading
def get_final_diff(query, session_id):
    """Get a session's final diff

    A page of the files that differ between the commit that the assessment starts from and the handed-in git bundle, by
    path. `manualRanges` are the lines that no recorded change of an agent added.
    """
    session = find(Session, session_id)
    return page("files", HandInFile.of(session), query) | {"hand_in": HandIn.current(session)}
