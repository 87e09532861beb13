"""Submissions: upload, download and final diff (docs/workspace.md#submissions)."""

from contextlib import closing
from typing import Any

from flask import request
from werkzeug.exceptions import ClientDisconnected

import errors
from access import audit, auth, caller, concurrency, raises
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
from models import ApiToken, CandidateKey, Session, Submission, SubmissionFile, db
from models.database import snapshot
from models.sessions.submissions import GIT, TAR, ZIP
from schemas.queries import PageQuery
from schemas.submissions import BundleListing, FinalDiff, ReceivedSubmission, Submissions
from storage import (
    CONTENT_TYPE,
    MAX_BUNDLE_BYTES,
    bundle_listing,
    new_object_key,
    validate_length,
    zip_ending,
)

blp = Blueprint("Submissions", __name__, description="Candidates' submissions, and the final diff.")

MEDIA_TYPES = {GIT: "application/x-git-bundle", ZIP: "application/zip", TAR: CONTENT_TYPE}
SUFFIXES = {GIT: "bundle", ZIP: "zip", TAR: "tar.gz"}
FORMATS = {MEDIA_TYPES[format]: format for format in (GIT, ZIP)}
SIGNATURES = {GIT: (b"# v2 git bundle\n", b"# v3 git bundle\n"), ZIP: (b"PK\x03\x04",)}


@blp.put("/candidate/submission")
@blp.doc(tags=["Candidate"])
@auth.required(CandidateKey)
@raises(
    *(
        errors.NotASubmission,
        errors.SubmissionType,
        errors.NotRedeemed,
        errors.AssessmentClosed,
        errors.Erased,
    ),
    *(errors.LengthRequired, errors.Incomplete, errors.TooLarge, errors.SessionFull, errors.StoreUnavailable),
)
@blp.response(200, ReceivedSubmission)
def receive_submission():
    """Submit the work

    The body is a git bundle (`application/x-git-bundle`) or a zip archive (`application/zip`) of at most 128 MiB. The
    upload is atomic and can be repeated; the latest readable one counts. Accepted until ten minutes after the session
    closes.
    """
    format, max_bytes = FORMATS.get(request.mimetype), setting("SESSION_MAX_BYTES")
    if format is None:
        raise errors.SubmissionType()
    session, length = Session.get_for_key(caller), validate_length(request.content_length)
    if not length:
        raise errors.NotASubmission()
    bundles = store()
    submission = Submission.reserve(session, format, new_object_key(str(session.id), SUFFIXES[format]))
    try:
        submission.reserve_space(length, max_bytes)
        release_connection()
        request.max_content_length = MAX_BUNDLE_BYTES
        body = _Body(request.stream, format, length)
        sha256 = bundles.receive(submission.object_key, body, length)
        with db.atomic():
            submission.record(length, sha256, max_bytes)
            audit.record_candidate(caller, "receiveSubmission")
    except Exception:
        submission.delete_with_object()
        raise
    return {"submission": submission}


class _Body:
    """A request body. `read` raises NotASubmission unless it is a git bundle or a zip archive with a file."""

    def __init__(self, stream: Any, format: str, length: int):
        self._stream = stream
        self._signatures: tuple[bytes, ...] = SIGNATURES[format]
        self._is_zip, self._ending, self._bytes_left = format == ZIP, b"", length

    def read(self, size: int = -1, /) -> bytes:
        data = self._read(size)
        if self._signatures:
            longest = max(map(len, self._signatures))
            while len(data) < min(size, longest) and (more := self._read(longest - len(data))):
                data += more
            if not data.startswith(self._signatures):
                raise errors.NotASubmission()
            self._signatures = ()
        self._ending = (self._ending + data)[-zip_ending.MAX_ENDING_BYTES :]
        self._bytes_left -= len(data)
        if self._is_zip and not self._bytes_left and not zip_ending.lists_a_file(self._ending):
            raise errors.NotASubmission()
        return data

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except ClientDisconnected:
            raise errors.Incomplete() from None


@blp.get("/sessions/<id:session_id>/submissions")
@auth.required(ApiToken)
@concurrency.long_read
@blp.response(200, Submissions)
@audit.record_read
def list_submissions(session_id):
    """List a session's submissions

    The candidate's git bundles, zip archives and client bundles. A client also submits snapshots of work in progress.
    For replaced and unverified submissions, only the metadata of the newest 100 is kept.
    """
    return {"submissions": list(Submission.of(find(Session, session_id)))}


@blp.get("/sessions/<id:session_id>/submission")
@auth.required(ApiToken)
@raises(errors.NotFound, errors.BundleChanged, errors.StoreUnavailable)
@blp.response(
    200,
    {"type": "string", "format": "binary"},
    content_type=MEDIA_TYPES[GIT],
    description="The git bundle; a zip archive is `application/zip`, a client's bundle `application/gzip`.",
)
@audit.record_read
def download_submission(session_id):
    """Download a session's submission

    The submission that counts, as the candidate sent it. In an empty repository, unpack a git bundle with
    `git bundle unbundle submission.bundle`, and check out the final diff's `headCommit`. The content is untrusted: do
    not run it outside a sandbox.
    """
    return _download("submission", _find_unchanged(session_id))


@blp.get("/sessions/<id:session_id>/bundle")
@auth.required(ApiToken)
@raises(errors.NotFound, errors.BundleChanged, errors.StoreUnavailable)
@blp.response(
    200, {"type": "string", "format": "binary"}, content_type=CONTENT_TYPE, description="The bundle."
)
@audit.record_read
def download_bundle(session_id):
    """Download a session's client bundle

    The gzip-compressed tar as the candidate's client uploaded it. List its files before unpacking it.
    """
    return _download("session", _find_unchanged(session_id, TAR))


@blp.get("/sessions/<id:session_id>/bundle/files")
@auth.required(ApiToken)
@concurrency.long_read
@raises(errors.NotFound, errors.BundleChanged, errors.StoreUnavailable)
@blp.response(200, BundleListing)
@audit.record_read
def list_bundle_files(session_id):
    """List the files in a client bundle

    Reads the bundle without unpacking it, within limits on entries, size and time. Unsafe entries, such as absolute
    paths, links and devices, are flagged.
    """
    submission = _find_unchanged(session_id, TAR, with_content=True)
    with closing(store().open(submission.object_key)) as stream:
        listing = bundle_listing.list_bundle(stream)
    return {"submission": submission, "files": listing.entries, "problem": listing.problem}


@blp.get("/sessions/<id:session_id>/final-diff")
@auth.required(ApiToken)
@concurrency.long_read
@blp.arguments(PageQuery, location="query")
@blp.response(200, FinalDiff)
@audit.record_read
def get_final_diff(query, session_id):
    """Get a session's final diff

    A page of files that differ between the base and the submitted git bundle, by path. `notRecordedRanges` are the
    lines that no recorded agent change added. The base is the assessment's `repoCommit`; without one, the commit that
    the workspace was prepared from, and `baseVerified` is false. Without a base, there is no diff: `noDiffReason` says
    so.
    """
    session = find(Session, session_id)
    with snapshot():  # A submission that is read between the queries replaces the files.
        submission = Submission.current(session, with_content=True)
        reason = submission.no_diff_reason if submission else "no_submission"
        files = page("files", SubmissionFile.of(session), query)
    client_diff = submission and submission.client_diff
    return files | {"submission": submission, "no_diff_reason": reason, "client_diff": client_diff}


def _find_unchanged(session_id: Any, *formats: str, with_content: bool = False) -> Any:
    """Find the session's submission. Raises BundleChanged if its object was replaced in the store."""
    session = find(Session, session_id)
    submission = or_not_found(Submission.current(session, *formats, with_content=with_content))
    release_connection()
    require_unchanged(submission.object_key, submission.size, submission.sha256)
    return submission


def _download(noun: str, submission: Any) -> Any:
    name = f"{noun}-{submission.session_id}.{SUFFIXES[submission.format]}"
    response = file_response(name, store().chunks(submission.object_key), MEDIA_TYPES[submission.format])
    response.content_length = submission.size
    return response
