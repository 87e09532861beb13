"""Reports and uploads from a candidate's client (docs/candidate-client.md, 3.1, 3.6 to 3.11, 3.17)."""

import gzip
import hashlib
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from bundle_stores import bundle_files
from callers import Caller
from factories import (
    make_assessment,
    make_key,
    make_organization,
    make_recorded_session,
    make_repository,
    make_session,
)
from response_checks import body_of, error_of, error_paths

from delivery.worker import Worker
from errors import Incomplete
from models import BundleUpload, ClientReport, Delivery, Session, StorageMarker, Submission, sessions
from models.deliveries.outbox import MAX_UPLOAD_DURATION
from models.sessions.submissions import TAR, delete_unused
from models.sessions.submissions.objects import MAX_UNUSED_AGE, UPLOAD_URL_LIFETIME
from rules import client_versions
from schemas.candidate_client import MAX_FINGERPRINT_BYTES
from storage import folder as folder_storage
from tests.git_bundles.bundles import bundle_of_blobs

BUNDLE = gzip.compress(b"workspace files", mtime=0)
UNKNOWN_ID = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"
COMMIT = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
# Request bodies of the operations that require a redeemed key
BODIES = {
    "workspace-commit": {"sessionId": UNKNOWN_ID, "commitSha": "4b825dc"},
    "device-check": {"checkpoint": "start", "fingerprint": {}},
    "hosted-boot": {},
    "upload-url": {"sessionId": UNKNOWN_ID},
    "submit-code": {"sessionId": UNKNOWN_ID, "bundleKey": "x", "bundleSize": 1, "bundleSha256": "0" * 64},
}


@pytest.fixture(autouse=True)
def folder(app, tmp_path, monkeypatch):
    """The store's folder."""
    monkeypatch.setattr(app.extensions["storage"], "folder", tmp_path)
    StorageMarker.adopt(app.extensions["storage"])
    return tmp_path


def post(candidate, operation, **body):
    return candidate.post(f"/v1/candidate/{operation}", body)


def open_upload(candidate, session):
    return post(candidate, "upload-url", sessionId=str(session.id)).json


def put(candidate, upload, bundle=BUNDLE, **options):
    """Upload the bundle without a credential."""
    url = urlsplit(upload["uploadUrl"])
    request = {"data": bundle, "headers": {"Content-Type": "application/gzip"}, "query_string": url.query}
    return Caller(candidate.client.application).request("PUT", url.path, **(request | options))


def upload_bundle(candidate, session, bundle=BUNDLE):
    upload = open_upload(candidate, session)
    assert put(candidate, upload, bundle).status_code == 200
    return upload


def submit(candidate, session, upload, bundle=BUNDLE, **fields):
    body = {"bundleKey": upload["objectKey"], "bundleSize": len(bundle)}
    body |= {"bundleSha256": hashlib.sha256(bundle).hexdigest(), "diff": "+1", "fileTree": ["orders.py"]}
    body |= {"sessionId": str(session.id), "repoUrl": "", "baseSha": ""}
    return post(candidate, "submit-code", **(body | fields))


def states(reviewer, session):
    submissions = body_of(reviewer.get(f"/v1/sessions/{session.id}/submissions"))["submissions"]
    return [submission["state"] for submission in submissions]


def removals():
    """Return the object key and due time of each queued removal."""
    rows = Delivery.select().where(Delivery.kind == "removal").order_by(Delivery.due_at)
    return [(row.data["objectKey"], row.due_at) for row in rows]


# Version check


@pytest.mark.parametrize(
    ("versions", "required", "recommended"),
    [
        (("1.8.9", "1.9.0-rc.1"), True, True),
        (("1.9.0", "v1.9.5"), False, True),
        (("1.10.0", "1.11.0", "dev", ""), False, False),
    ],
)
def test_versions_are_compared_as_numbers(versions, required, recommended):
    for version in versions:
        result = client_versions.check_version(version, "1.9.0", "1.10.0")
        assert (result["update_required"], result["update_recommended"]) == (required, recommended), version
        assert bool(result["message"]) == recommended


def test_message_falls_back_to_the_minimum_version():
    result = client_versions.check_version("1.8.9", "1.9.0", None)
    assert result["message"] == "This client is too old. Update it to 1.9.0 or later."


@pytest.mark.parametrize("query", [{"version": "1.10.0"}, {}])
def test_version_check_requires_no_credential(anonymous, query):
    expected = dict.fromkeys(("latestVersion", "minVersion", "message"), "")
    expected |= {"updateRequired": False, "updateRecommended": False}
    assert body_of(anonymous.get("/v1/cli/version-check", **query)) == expected


# Reports


def test_reports_are_stored_as_sent(candidate, session):
    fingerprint = {"os": "linux", "arch": "amd64", "cpuCount": 8, "ramBytes": 2**34, "hostnameHash": ""}
    boot = {"prebuilt": None, "onCreateCompleted": True, "bootSeconds": 41.5, "treeMatches": False}
    responses = [
        post(candidate, "workspace-commit", sessionId=str(session.id), commitSha="4b825dc"),
        post(candidate, "device-check", checkpoint="start", fingerprint=fingerprint),
        post(candidate, "device-check", checkpoint="done", fingerprint=fingerprint),
        post(candidate, "hosted-boot", **boot),
    ]
    assert {response.status_code for response in responses} == {200}
    assert responses[-1].json == {"verdict": {"state": "differs"}}
    assert [(report.kind, report.data) for report in ClientReport.select().order_by(ClientReport.id)] == [
        ("workspace_commit", {"commitSha": "4b825dc"}),
        ("device_start", fingerprint),
        ("device_done", fingerprint),
        ("hosted_boot", boot),
    ]


def test_only_the_first_reports_for_each_checkpoint_are_stored(candidate, session, monkeypatch):
    monkeypatch.setattr("models.sessions.client_reports.MAX_REPORTS", 3)
    for number in range(5):
        fingerprint = {"cpuCount": number}
        response = post(candidate, "device-check", checkpoint="start", fingerprint=fingerprint)
        assert body_of(response) == {"ok": True}
    post(candidate, "device-check", checkpoint="done", fingerprint={})
    reports = [
        (report.kind, report.data.get("cpuCount"))
        for report in ClientReport.select().order_by(ClientReport.id)
    ]
    assert reports == [("device_start", 0), ("device_start", 1), ("device_start", 2), ("device_done", None)]


def test_fingerprint_is_limited_to_64_kib(candidate, session):
    for text, status in (("x" * (MAX_FINGERPRINT_BYTES - 9), 200), ("€" * 22_000, 400)):
        response = post(candidate, "device-check", checkpoint="start", fingerprint={"os": text})
        assert response.status_code == status
    assert error_paths(response) == [["fingerprint"]]
    assert ClientReport.select().count() == 1


def test_reports_are_accepted_for_24_hours_after_the_close(candidate, session, clock):
    sessions.complete(session)
    clock.fixed += timedelta(hours=24)
    assert post(candidate, "device-check", **BODIES["device-check"]).status_code == 200
    clock.fixed += timedelta(milliseconds=1)
    assert error_of(post(candidate, "device-check", **BODIES["device-check"])) == (409, "session_closed")


@pytest.mark.parametrize(
    ("operation", "field", "invalid"),
    [
        *(("workspace-commit", "commitSha", text) for text in ("abc", "a" * 65, "g" * 40, "4b825dc\n")),
        *(("hosted-boot", "bootSeconds", seconds) for seconds in (-1, 3601, "9")),
        *(("submit-code", "bundleSha256", text) for text in ("0" * 63, "0" * 65, "g" * 64)),
        ("device-check", "checkpoint", "middle"), ("submit-code", "bundleSize", -1),
    ],
)  # fmt: skip
def test_invalid_field_is_rejected(candidate, session, operation, field, invalid):
    body = BODIES[operation] | {"sessionId": str(session.id), field: invalid}
    assert error_paths(post(candidate, operation, **body)) == [[field]]


@pytest.mark.parametrize("operation", BODIES)
def test_reports_and_uploads_require_the_keys_session(candidate, key, operation):
    body = BODIES[operation]
    assert error_of(post(candidate, operation, **body)) == (409, "not_redeemed")
    make_session(key)
    if "sessionId" in body:
        other = make_session(make_key(make_assessment(make_organization("Others"))))
        for session_id in (UNKNOWN_ID, "nonsense", str(other.id)):
            response = post(candidate, operation, **body | {"sessionId": session_id})
            assert error_of(response) == (404, "not_found")


# Uploads


def test_matching_bundle_is_verified_and_can_be_downloaded(candidate, reviewer, session):
    upload, digest = upload_bundle(candidate, session), hashlib.sha256(BUNDLE).hexdigest()
    for sha256 in (digest, digest.upper()):
        response = submit(candidate, session, upload, bundleSha256=sha256)
        assert body_of(response) == {"ok": True, "verified": True}
    download = reviewer.get(f"/v1/sessions/{session.id}/bundle")
    assert download.data == BUNDLE
    assert download.headers["Content-Type"] == "application/gzip"
    assert download.headers["Content-Length"] == str(len(BUNDLE))
    listing = reviewer.get(f"/v1/sessions/{session.id}/bundle/files").json
    assert listing["files"] == []
    assert listing["problem"]
    assert listing["submission"]["state"] == "verified"


def test_each_upload_has_a_url_that_accepts_repeated_puts(candidate, session):
    first, second = (upload_bundle(candidate, session) for _ in range(2))
    assert first["objectKey"] != second["objectKey"]
    assert put(candidate, first).status_code == 200


def test_forged_and_expired_upload_urls_are_rejected(candidate, session, clock):
    upload = open_upload(candidate, session)
    forged = put(candidate, upload, query_string="expires=9999999999&signature=00")
    clock.fixed += timedelta(hours=1, seconds=1)
    for response in (forged, put(candidate, upload)):
        assert error_of(response) == (403, "upload_rejected")


def test_bundle_of_a_closed_upload_is_not_stored(app, candidate, session, folder, monkeypatch):
    upload, receive = open_upload(candidate, session), app.extensions["storage"].receive

    def receive_and_close(*arguments):
        receive(*arguments)
        BundleUpload.find(upload["objectKey"]).delete_with_object()

    monkeypatch.setattr(app.extensions["storage"], "receive", receive_and_close)
    assert error_of(put(candidate, upload)) == (403, "upload_rejected")
    assert bundle_files(folder) == []


def test_upload_closed_during_the_transfer_is_rejected(app, candidate, session, monkeypatch):
    upload, storage = open_upload(candidate, session), app.extensions["storage"]
    atomic_file = folder_storage.atomic_file

    @contextmanager
    def delete_partial_file(path):
        with atomic_file(path) as file:
            yield file
            storage.delete(path.name)

    monkeypatch.setattr(folder_storage, "atomic_file", delete_partial_file)
    assert error_of(put(candidate, upload)) == (403, "upload_rejected")


def test_concurrent_uploads_cannot_exceed_the_sessions_limit(app, candidate, session, folder, monkeypatch):
    first, second = (open_upload(candidate, session) for _ in range(2))
    receive, storage = app.extensions["storage"].receive, app.extensions["storage"]

    def receive_during_others(*arguments):
        monkeypatch.setattr(storage, "receive", receive)
        for upload in (first, second):
            assert error_of(put(candidate, upload)) == (413, "session_full")
        receive(*arguments)

    monkeypatch.setitem(app.config, "SESSION_MAX_BYTES", 2 * len(BUNDLE) - 1)
    monkeypatch.setattr(storage, "receive", receive_during_others)
    assert put(candidate, first).status_code == 200
    assert [file.name for file in bundle_files(folder)] == [first["objectKey"]]


def test_interrupted_upload_does_not_count(app, candidate, session, folder, monkeypatch):
    def disconnect(*arguments):
        raise Incomplete()

    upload = open_upload(candidate, session)
    monkeypatch.setitem(app.config, "SESSION_MAX_BYTES", len(BUNDLE))
    with monkeypatch.context() as patch:
        patch.setattr(app.extensions["storage"], "receive", disconnect)
        assert error_of(put(candidate, upload)) == (400, "incomplete")
    assert put(candidate, upload).status_code == 200
    assert Session.get_by_id(session.id).stored_bundle_bytes == len(BUNDLE)


def test_full_session_cannot_open_an_upload(app, candidate, session, monkeypatch):
    uploads = [upload_bundle(candidate, session) for _ in range(2)]
    monkeypatch.setitem(app.config, "SESSION_MAX_BYTES", 2 * len(BUNDLE))
    assert error_of(post(candidate, "upload-url", sessionId=str(session.id))) == (413, "session_full")
    assert BundleUpload.select().count() == 2
    monkeypatch.setitem(app.config, "SESSION_MAX_BYTES", 3 * len(BUNDLE))
    upload_bundle(candidate, session)
    # The fourth upload closes the oldest one and frees its space.
    upload_bundle(candidate, session)
    assert error_of(put(candidate, uploads[0])) == (403, "upload_rejected")


def test_unverified_submission_does_not_replace_a_verified_one(candidate, reviewer, session):
    verified, empty = upload_bundle(candidate, session), open_upload(candidate, session)
    submit(candidate, session, verified)
    mismatches = ({"bundleSize": 1}, {"bundleSha256": "0" * 64})
    for fields in (*mismatches, {"bundleKey": "x"}, {"bundleKey": empty["objectKey"]}):
        response = submit(candidate, session, upload_bundle(candidate, session), **fields)
        assert body_of(response)["verified"] is False
    assert states(reviewer, session) == ["verified", "mismatch", "mismatch", "missing", "missing"]
    assert Submission.current(session, TAR).source_key == verified["objectKey"]


def test_submission_history_is_limited(candidate, reviewer, session, monkeypatch):
    monkeypatch.setattr("models.sessions.submissions.submission.MAX_WITHOUT_OBJECT", 3)
    for _ in range(6):
        submit(candidate, session, upload_bundle(candidate, session))
    assert states(reviewer, session) == ["replaced"] * 3 + ["verified"]
    for _ in range(4):
        submit(candidate, session, {"objectKey": "x"})
    assert states(reviewer, session) == ["verified"] + ["missing"] * 3
    assert Submission.current(session, TAR) is not None


def test_long_values_are_truncated(candidate, reviewer, session):
    upload, url = upload_bundle(candidate, session), "https://example.com/" + "x" * 10_000
    assert submit(candidate, session, upload, repoUrl=url, baseSha="a" * 10_000).json["verified"]
    (submission,) = reviewer.get(f"/v1/sessions/{session.id}/submissions").json["submissions"]
    assert (submission["repoUrl"], submission["baseSha"]) == (url[:2048], "a" * 64)


def test_newer_verified_bundle_replaces_the_previous_one(candidate, session, clock):
    first = upload_bundle(candidate, session)
    submit(candidate, session, first)
    newer = gzip.compress(b"more", mtime=0)
    second = upload_bundle(candidate, session, newer)
    submit(candidate, session, second, newer)
    assert [submission.diff for submission in Submission.of(session)] == [None, "+1"]
    # Both uploads and the first verified copy are removed now, and again when no upload can be running.
    last = clock.fixed + UPLOAD_URL_LIFETIME + MAX_UPLOAD_DURATION
    assert [due_at for _, due_at in removals()] == [clock.fixed] * 3 + [last] * 3
    assert {first["objectKey"], second["objectKey"]} < {key for key, _ in removals()}
    assert not submit(candidate, session, first).json["verified"]
    assert Submission.current(session, TAR).source_key == second["objectKey"]


def test_bundles_are_accepted_for_ten_minutes_after_the_close(candidate, session, clock):
    sessions.complete(session)
    clock.fixed += timedelta(minutes=10)
    upload = upload_bundle(candidate, session)
    assert submit(candidate, session, upload).json["verified"]
    clock.fixed += timedelta(milliseconds=1)
    rejected = post(candidate, "upload-url", sessionId=str(session.id))
    assert error_of(rejected) == error_of(submit(candidate, session, upload)) == (409, "assessment_closed")
    assert rejected.json["completedAt"] == "2026-04-01T09:00:00.000Z"


def test_missing_and_changed_bundles_cannot_be_downloaded(candidate, reviewer, session, folder):
    def downloads():
        paths = (f"/v1/sessions/{session.id}/bundle", f"/v1/sessions/{session.id}/bundle/files")
        return {error_of(reviewer.get(path)) for path in paths}

    assert downloads() == {(404, "not_found")}
    submit(candidate, session, upload_bundle(candidate, session))
    stored = folder / Submission.current(session, TAR).object_key
    for changed in (BUNDLE + b"?", BUNDLE[:-1] + b"?"):
        stored.write_bytes(changed)
        assert downloads() == {(409, "bundle_changed")}
    stored.unlink()
    assert downloads() == {(404, "not_found")}


def test_unused_uploads_are_deleted_a_day_after_they_expire(app, candidate, reviewer, session, clock, folder):
    unused, mismatched, used = (upload_bundle(candidate, session) for _ in range(3))
    submit(candidate, session, mismatched, bundleSize=1)
    submit(candidate, session, used)
    empty = open_upload(candidate, session)
    clock.fixed += UPLOAD_URL_LIFETIME + MAX_UNUSED_AGE - timedelta(milliseconds=1)
    assert delete_unused() == 0
    clock.fixed += timedelta(milliseconds=1)
    for _ in range(2):
        Worker(app.config, app.extensions["storage"]).run_once()
    names = {name for name, _ in removals()}
    assert names > {upload["objectKey"] for upload in (unused, mismatched, used, empty)}
    verified = Submission.current(session, TAR).object_key
    assert [file.name for file in bundle_files(folder)] == [verified]
    assert verified not in names
    assert reviewer.get(f"/v1/sessions/{session.id}/bundle").data == BUNDLE
    assert states(reviewer, session) == ["mismatch", "verified"]


def test_connection_is_released_before_a_transfer(candidate, reviewer, session, monkeypatch):
    calls = []
    for module in ("candidate_client", "submissions"):
        monkeypatch.setattr(f"blueprints.{module}.release_connection", lambda: calls.append(1))
    submit(candidate, session, upload_bundle(candidate, session))
    for resource in ("bundle", "bundle/files"):
        reviewer.get(f"/v1/sessions/{session.id}/{resource}")
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("repository", "base_sha", "verified", "reason"),
    [
        ({"repo_url": "https://example.com/x", "repo_commit": COMMIT}, COMMIT, True, None),
        ({"repo_url": "https://example.com/x", "repo_commit": COMMIT}, "1" * 40, False, None),
        ({"repo_url": "https://example.com/x"}, COMMIT, False, None),
        ({"repo_url": "https://example.com/x"}, "", False, "no_base"),
        ({}, COMMIT, False, None),
        ({}, "", None, "no_base"),
    ],
)
def test_without_another_submission_the_clients_bundle_counts(
    candidate, reviewer, session, repository, base_sha, verified, reason
):
    session.assessment.update_columns(**repository)
    submit(candidate, session, upload_bundle(candidate, session), baseSha=base_sha)
    diff = body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff"))
    submission = diff["submission"]
    assert submission["format"] == "tar"
    assert (submission["baseVerified"], submission["baseCommit"]) == (verified, base_sha or None)
    assert (diff["noDiffReason"], diff["clientDiff"], diff["files"]) == (reason, None if reason else "+1", [])
    codes = {each["code"] for each in reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"]}
    assert ("base_unverified" in codes) == (verified is False)
    download = reviewer.get(f"/v1/sessions/{session.id}/submission")
    assert (download.data, download.mimetype) == (BUNDLE, "application/gzip")


def test_the_clients_base_is_verified_if_it_is_the_hosted_commit(app, reviewer, assessment):
    commit_id = make_repository(assessment, {"a": "1"}, app.extensions["storage"]).commit_id
    for base_sha, verified in ((commit_id, True), (COMMIT, False)):
        session = make_recorded_session(make_key(assessment))
        candidate = Caller.candidate(app, session.key)
        submit(candidate, session, upload_bundle(candidate, session), baseSha=base_sha)
        diff = body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff"))
        assert (diff["submission"]["baseVerified"], diff["submission"]["baseCommit"]) == (verified, base_sha)


def test_a_git_bundle_counts_before_the_clients_once_it_is_read(app, candidate, reviewer, session):
    def counting():
        return reviewer.get(f"/v1/sessions/{session.id}").json["submission"]["format"]

    submit(candidate, session, upload_bundle(candidate, session))
    options = {"data": bundle_of_blobs(a=b"1\n"), "headers": {"Content-Type": "application/x-git-bundle"}}
    body_of(candidate.request("PUT", "/v1/candidate/submission", **options))
    assert counting() == "tar"
    Worker(app.config, app.extensions["storage"]).run_once()
    submit(candidate, session, upload_bundle(candidate, session))
    assert counting() == "git"
