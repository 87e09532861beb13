"""Reports and uploads from a candidate's client (docs/candidate-client.md, 3.1, 3.6 to 3.11, 3.17)."""

from flask import current_app, request

import errors
import storage
from access import audit, auth, caller, concurrency, raises, rate_limits
from blueprints import Blueprint, get_key_session, release_connection, setting, store
from models import BundleUpload, CandidateKey, ClientReport, Session, StorageMarker, Submission, clock, db
from models.sessions.submissions import TAR, VERIFIED
from rules import client_versions
from schemas import candidate_client as schemas
from web.json import MAX_EVENT_BYTES, body_limit

blp = Blueprint("Client", __name__, description="Reports and uploads from a candidate's client.")

STORAGE_ERRORS = (errors.SessionFull, errors.StoreUnavailable)


@blp.get("/cli/version-check")
@blp.arguments(schemas.VersionQuery, location="query")
@blp.response(200, schemas.VersionCheck)
def check_version(query):
    """Check a client's version

    Returns whether an update is required or recommended, based on CLIENT_MIN_VERSION and CLIENT_LATEST_VERSION.
    """
    return client_versions.check_version(
        query["version"], setting("CLIENT_MIN_VERSION"), setting("CLIENT_LATEST_VERSION")
    )


@blp.post("/candidate/workspace-commit")
@auth.required(CandidateKey)
@raises(errors.NotFound, errors.NotRedeemed, errors.SessionClosed)
@blp.arguments(schemas.WorkspaceCommit)
@blp.response(200, schemas.Recorded)
@audit.record_change()
def report_workspace_commit(data):
    """Report the workspace's commit

    Records the candidate's starting commit. Only the first 100 reports are stored.
    """
    ClientReport.record(
        get_key_session(caller, data["session_id"]), "workspace_commit", {"commitSha": data["commit_sha"]}
    )
    return {"ok": True}


@blp.post("/candidate/device-check")
@auth.required(CandidateKey)
@raises(errors.NotRedeemed, errors.SessionClosed)
@blp.arguments(schemas.DeviceCheck)
@blp.response(200, schemas.Recorded)
@audit.record_change()
def report_device(data):
    """Report the device

    Records a description of the machine at the start and end of the session. Names must be hashed. Only the first 100
    reports for each checkpoint are stored.
    """
    ClientReport.record(Session.get_for_key(caller), f"device_{data['checkpoint']}", data["fingerprint"])
    return {"ok": True}


@blp.post("/candidate/hosted-boot")
@auth.required(CandidateKey)
@raises(errors.NotRedeemed, errors.SessionClosed)
@blp.arguments(schemas.HostedBoot)
@blp.response(200, schemas.HostedBootResponse)
@audit.record_change()
def report_hosted_boot(data):
    """Report a hosted workspace's start

    For older clients. Returns whether the workspace has the expected content.
    """
    ClientReport.record(Session.get_for_key(caller), "hosted_boot", schemas.HostedBoot().dump(data))
    return {"verdict": {"state": "differs" if data.get("tree_matches") is False else "ok"}}


@blp.post("/candidate/upload-url")
@auth.required(CandidateKey)
@raises(errors.NotFound, errors.NotRedeemed, errors.AssessmentClosed, *STORAGE_ERRORS)
@blp.arguments(schemas.SessionReference)
@blp.response(200, schemas.OpenUpload)
@audit.record_change()
def open_upload(data):
    """Create an upload URL

    Each call returns a new URL for one bundle. The URL accepts repeated PUTs for one hour. It expires earlier once
    its bundle is verified or three newer URLs are created.
    """
    session = get_key_session(caller, data["session_id"])
    bundles = store()
    upload = BundleUpload.open(session, storage.new_object_key(str(session.id)), setting("SESSION_MAX_BYTES"))
    url = bundles.upload_url(upload.object_key, upload.expires_at)
    return {
        "upload_url": url,
        "object_key": upload.object_key,
        "token": None,
        "expires_at": upload.expires_at,
    }


@blp.post("/candidate/submit-code")
@auth.required(CandidateKey)
@concurrency.large_body
@body_limit(MAX_EVENT_BYTES)
@raises(errors.NotFound, errors.NotRedeemed, errors.AssessmentClosed, errors.TooLarge, *STORAGE_ERRORS)
@blp.arguments(schemas.SubmittedCode)
@blp.response(200, schemas.SubmissionVerdict)
def submit_code(data):
    """Submit code

    Can be repeated. The latest submission whose stored bundle matches the reported size and SHA-256 counts. For all
    others, only the metadata of the newest 100 is kept.
    """
    session = get_key_session(caller, data.pop("session_id"))
    bundles = store()
    source_key = Submission.find_source(session, data.pop("bundle_key"))
    object_key = storage.new_object_key(str(session.id)) if source_key else None
    submission = Submission.reserve(session, TAR, object_key, source_key)
    release_connection()
    try:
        copied = _copy_and_read(bundles, source_key, object_key)
        with db.atomic():
            submission.record_claims(copied, data, setting("SESSION_MAX_BYTES"))
            audit.record_candidate(caller, "submitCode")
    except Exception:
        submission.delete_with_object()
        raise
    return {"ok": True, "verified": submission.state == VERIFIED}


@blp.put("/bundles/<object_key>")
@rate_limits.limit(None)
@raises(errors.UploadRejected, errors.LengthRequired, errors.Incomplete, errors.TooLarge, *STORAGE_ERRORS)
@blp.response(200, schemas.Recorded)
def receive_bundle(object_key):
    """Upload a bundle

    Send a gzip-compressed tar of at most 128 MiB to a URL from `POST /v1/candidate/upload-url`; no credential is
    needed. The upload is atomic and can be repeated.
    """
    folder = current_app.extensions["storage"]
    query = (request.args.get("expires", ""), request.args.get("signature", ""))
    if not isinstance(folder, storage.FolderStorage) or not folder.is_signed(object_key, *query, clock.now()):
        raise errors.UploadRejected()
    upload, max_bytes = BundleUpload.find(object_key), setting("SESSION_MAX_BYTES")
    StorageMarker.require(folder)
    length = storage.validate_length(request.content_length)
    upload.reserve_space(length, max_bytes)
    release_connection()
    request.max_content_length = storage.MAX_BUNDLE_BYTES
    try:
        _store_bundle(folder, upload, length, max_bytes)
    except errors.UploadRejected:
        folder.delete(object_key)
        raise
    audit.record_candidate(upload.session.key, "receiveBundle")
    return {"ok": True}


def _store_bundle(folder, upload, length, max_bytes):
    try:
        folder.receive(upload.object_key, request.stream, length)
        upload.record_bundle(length, max_bytes)
    except errors.NotFound:  # the upload was closed and its partial file deleted
        raise errors.UploadRejected() from None
    except (errors.SessionFull, errors.UploadRejected):
        raise
    except Exception:  # such as a broken connection or a busy database: the client tries again
        upload.release_space(length)
        raise


def _copy_and_read(bundles, source_key, object_key):
    """Copy a bundle; return the copy's size and SHA-256, or None if there is no bundle."""
    if source_key is None:
        return None
    try:
        bundles.copy(source_key, object_key)
        return bundles.size_and_sha256(object_key)
    except errors.NotFound:
        return None
