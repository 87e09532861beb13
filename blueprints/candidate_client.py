"""What the candidate's client tells beside its events (client contract, 3.1, 3.6 to 3.11, 3.17)."""

from flask import request

import storage
from access import audit, auth, rate_limits
from access.auth import caller
from blueprints import Blueprint, refuses, release_connection, require_own, setting, store
from errors import (
    AssessmentClosed,
    Incomplete,
    LengthRequired,
    NotFound,
    NotRedeemed,
    SessionClosed,
    StoreUnavailable,
    TooLarge,
    UploadRefused,
)
from models import BundleUpload, CandidateKey, ClientReport, Session, Submission, clock, db
from rules import client_versions
from schemas.candidate_client import (
    DeviceCheck,
    HostedBoot,
    HostedBootAnswer,
    OfSession,
    Recorded,
    SubmissionVerdict,
    SubmittedCode,
    UploadPlace,
    VersionCheck,
    VersionQuery,
    WorkspaceCommit,
)
from web.json import MAX_EVENT_BYTES, body_limit

blp = Blueprint("Client", __name__, description="What a candidate's client tells beside its events.")


@blp.get("/cli/version-check")
@blp.arguments(VersionQuery, location="query")
@blp.response(200, VersionCheck)
def check_version(query):
    """Check a client's version

    Whether it must or should be updated, by the settings CLIENT_MIN_VERSION and CLIENT_LATEST_VERSION.
    """
    return client_versions.check_version(
        query["version"], setting("CLIENT_MIN_VERSION"), setting("CLIENT_LATEST_VERSION")
    )


@blp.post("/candidate/workspace-commit")
@auth.required(CandidateKey)
@refuses(NotFound, NotRedeemed, SessionClosed)
@blp.arguments(WorkspaceCommit)
@blp.response(200, Recorded)
@audit.change()
def report_workspace_commit(data):
    """Report the workspace's commit

    Where the candidate's work begins. A later report stands beside the earlier one.
    """
    ClientReport.keep(_own_session(data["session_id"]), "workspace_commit", {"commitSha": data["commit_sha"]})
    return {"ok": True}


@blp.post("/candidate/device-check")
@auth.required(CandidateKey)
@refuses(NotRedeemed, SessionClosed)
@blp.arguments(DeviceCheck)
@blp.response(200, Recorded)
@audit.change()
def report_device(data):
    """Report the device

    The kind of machine at the start and at the end; names only as digests.
    """
    ClientReport.keep(Session.of_key(caller), f"device_{data['checkpoint']}", data["fingerprint"])
    return {"ok": True}


@blp.post("/candidate/hosted-boot")
@auth.required(CandidateKey)
@refuses(NotRedeemed, SessionClosed)
@blp.arguments(HostedBoot)
@blp.response(200, HostedBootAnswer)
@audit.change()
def report_hosted_boot(data):
    """Report how a hosted workspace came up

    For older clients; the answer says whether its content is as expected.
    """
    ClientReport.keep(Session.of_key(caller), "hosted_boot", HostedBoot().dump(data))
    return {"verdict": {"state": "differs" if data.get("tree_matches") is False else "ok"}}


@blp.post("/candidate/upload-url")
@auth.required(CandidateKey)
@refuses(NotFound, NotRedeemed, AssessmentClosed, StoreUnavailable)
@blp.arguments(OfSession)
@blp.response(200, UploadPlace)
@audit.change()
def open_upload(data):
    """Get a place to upload a bundle to

    Each call gets one of its own, for an hour; it need not be used. The address takes several PUTs.
    """
    session = _own_session(data["session_id"])
    upload = BundleUpload.open(session, storage.new_object_key(str(session.id)))
    url = store().upload_url(upload.object_key, upload.expires_at)
    return {
        "upload_url": url,
        "object_key": upload.object_key,
        "token": None,
        "expires_at": upload.expires_at,
    }


@blp.post("/candidate/submit-code")
@auth.required(CandidateKey)
@body_limit(MAX_EVENT_BYTES)
@refuses(NotFound, NotRedeemed, AssessmentClosed, StoreUnavailable)
@blp.arguments(SubmittedCode)
@blp.response(200, SubmissionVerdict)
def submit_code(data):
    """Submit code

    Any number of times; the latest whose stored bundle has the size and digest that it tells is the submission.
    Anything else is kept as a fact.
    """
    session = _own_session(data.pop("session_id"))
    upload = BundleUpload.get_or_none(
        BundleUpload.object_key == data.pop("bundle_key"), BundleUpload.session == session
    )
    release_connection()
    found = _what_lies_there(upload)
    with db.atomic():
        submission = Submission.keep(session, upload, found, data)
        audit.record_candidate(caller, "submitCode")
    return {"ok": True, "verified": submission.verdict == "verified"}


@blp.put("/bundles/<object_key>")
@rate_limits.limit(None)
@refuses(UploadRefused, LengthRequired, Incomplete, TooLarge, StoreUnavailable)
@blp.response(200, Recorded)
def receive_bundle(object_key):
    """Upload a bundle

    To an address that `POST /v1/candidate/upload-url` gave out; it authorises itself. A gzip-compressed tar of at
    most 128 MiB. It is stored in one piece or not at all, and can be sent again.
    """
    folder = store()
    signed = (object_key, request.args.get("expires", ""), request.args.get("signature", ""))
    if not isinstance(folder, storage.FolderStorage) or not folder.is_signed(*signed, clock.now()):
        raise UploadRefused()
    release_connection()
    request.max_content_length = storage.MAX_BUNDLE_BYTES
    folder.receive(object_key, request.stream, request.content_length)
    upload = BundleUpload.get_or_none(BundleUpload.object_key == object_key)
    if upload is not None:
        audit.record_candidate(upload.session.key, "receiveBundle")
    return {"ok": True}


def _what_lies_there(upload):
    """Size and SHA-256 of what was uploaded; None for nothing, or for a place that was never given out."""
    try:
        return store().size_and_sha256(upload.object_key) if upload else None
    except NotFound:
        return None


def _own_session(text):
    session = Session.of_key(caller)
    require_own(session, text)
    return session
