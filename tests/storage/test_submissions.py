"""Uploads and submissions with each store, and a session's limit."""

import gzip
import hashlib
import urllib.request
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from bundle_stores import use_store
from callers import Caller
from factories import add_event, envelope
from response_checks import body_of, error_of

from delivery.worker import Worker
from errors import NotFound
from models import Delivery, Submission, privacy
from models.deliveries.outbox import MAX_UPLOAD_DURATION
from models.sessions.submissions import TAR
from models.sessions.submissions.objects import MAX_UNUSED_AGE, UPLOAD_URL_LIFETIME
from storage import FolderStorage, new_object_key
from tests.git_bundles.bundles import bundle_of_blobs

BUNDLE = gzip.compress(b"the files of a workspace", mtime=0)
OTHER = gzip.compress(b"better files", mtime=0)
HEADERS = {"Content-Type": "application/gzip"}


@pytest.fixture(autouse=True)
def _use_store(app, store, monkeypatch):
    use_store(app, store, monkeypatch)


@pytest.fixture
def max_bytes(app, monkeypatch):
    return lambda size: monkeypatch.setitem(app.config, "SESSION_MAX_BYTES", size)


def start_upload(candidate, session):
    return candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)}).json


def put(store, candidate, upload, bundle=BUNDLE):
    """Upload a bundle, and return the error or None."""
    if not isinstance(store, FolderStorage):
        request = urllib.request.Request(upload["uploadUrl"], bundle, HEADERS, method="PUT")
        with urllib.request.urlopen(request, timeout=60):
            return None
    url = urlsplit(upload["uploadUrl"])
    options = {"data": bundle, "headers": HEADERS, "query_string": url.query}
    response = Caller(candidate.client.application).request("PUT", url.path, **options)
    return None if response.status_code == 200 else error_of(response)


def submit(candidate, session, upload, bundle=BUNDLE, **fields):
    details = {"bundleSize": len(bundle), "bundleSha256": hashlib.sha256(bundle).hexdigest()}
    body = {"sessionId": str(session.id), "bundleKey": upload["objectKey"]} | details | fields
    return candidate.post("/v1/candidate/submit-code", body)


def upload_and_submit(store, candidate, session, bundle=BUNDLE):
    upload = start_upload(candidate, session)
    assert put(store, candidate, upload, bundle) is None
    return submit(candidate, session, upload, bundle)


def submit_git_bundle(candidate, content):
    headers = {"Content-Type": "application/x-git-bundle"}
    return candidate.request("PUT", "/v1/candidate/submission", data=content, headers=headers)


def download(reviewer, session):
    return reviewer.get(f"/v1/sessions/{session.id}/bundle").data


def run_worker_after_removals(app, clock, store):
    for pause in (timedelta(), UPLOAD_URL_LIFETIME + MAX_UPLOAD_DURATION):
        clock.fixed += pause
        Worker(app.config, store).run_once()


def exists(store, object_key):
    try:
        return store.size(object_key) > 0
    except NotFound:
        return False


def test_later_uploads_do_not_change_a_verified_bundle(app, clock, store, candidate, reviewer, session):
    upload = start_upload(candidate, session)
    assert put(store, candidate, upload) is None
    assert submit(candidate, session, upload).json["verified"]
    rejected = put(store, candidate, upload, OTHER)
    assert rejected == ((403, "upload_rejected") if isinstance(store, FolderStorage) else None)
    assert download(reviewer, session) == BUNDLE
    # A retry of the same submission succeeds.
    assert submit(candidate, session, upload).json["verified"]
    assert not submit(candidate, session, upload, OTHER).json["verified"]
    run_worker_after_removals(app, clock, store)
    assert not exists(store, upload["objectKey"])
    assert download(reviewer, session) == BUNDLE


def test_an_upload_during_the_submission_does_not_change_the_verified_bundle(
    store, candidate, reviewer, session, monkeypatch
):
    upload, read = start_upload(candidate, session), store.size_and_sha256
    put(store, candidate, upload)

    def upload_and_read(object_key):
        assert put(store, candidate, upload, OTHER) is None
        return read(object_key)

    with monkeypatch.context() as patch:
        patch.setattr(store, "size_and_sha256", upload_and_read)
        assert submit(candidate, session, upload).json["verified"]
    assert download(reviewer, session) == BUNDLE


def test_a_fourth_open_upload_closes_the_oldest_after_ten_minutes(clock, store, candidate, session):
    oldest = start_upload(candidate, session)
    # A client's snapshots overlap with its submission.
    assert put(store, candidate, start_upload(candidate, session)) is None
    clock.fixed += timedelta(minutes=10)
    newer = [start_upload(candidate, session) for _ in range(4)]
    rejected = put(store, candidate, oldest)
    assert rejected == ((403, "upload_rejected") if isinstance(store, FolderStorage) else None)
    assert submit(candidate, session, oldest).json == {"ok": True, "verified": False}
    for upload in newer:
        assert put(store, candidate, upload) is None
        assert submit(candidate, session, upload).json["verified"]


def test_an_eleventh_recent_upload_closes_the_oldest(store, candidate, session):
    oldest, *newer = [start_upload(candidate, session) for _ in range(11)]
    assert not submit(candidate, session, oldest).json["verified"]
    assert put(store, candidate, newer[0]) is None
    assert submit(candidate, session, newer[0]).json["verified"]


def test_a_fourth_upload_closes_a_recent_one_if_half_of_the_space_is_used(
    store, candidate, session, max_bytes
):
    if not isinstance(store, FolderStorage):
        pytest.skip("The size of an upload to S3 is known after its submission.")
    uploads = [start_upload(candidate, session) for _ in range(3)]
    assert put(store, candidate, uploads[0]) is None
    max_bytes(2 * len(BUNDLE))
    start_upload(candidate, session)
    assert not submit(candidate, session, uploads[0]).json["verified"]


def test_verified_uploads_do_not_count_as_open(store, candidate, session):
    waiting = start_upload(candidate, session)
    for number in range(10):
        assert upload_and_submit(store, candidate, session, BUNDLE + b"%d" % number).json["verified"]
    assert put(store, candidate, waiting) is None
    assert submit(candidate, session, waiting).json["verified"]


def test_superseded_bundles_are_deleted_and_free_their_space(
    app, clock, store, candidate, session, max_bytes
):
    max_bytes(2 * len(BUNDLE))
    copies = set()
    for _ in range(10):
        assert upload_and_submit(store, candidate, session).json["verified"]
        copies.add(Submission.current(session, TAR).object_key)
    run_worker_after_removals(app, clock, store)
    assert [key for key in copies if exists(store, key)] == [Submission.current(session, TAR).object_key]


def test_bundles_and_events_share_the_sessions_limit(store, candidate, reviewer, session, max_bytes):
    assert upload_and_submit(store, candidate, session).json["verified"]
    add_event(session, envelope("prompt", data={"text": "x" * 1_000}))
    upload = start_upload(candidate, session)
    max_bytes(1_000 + len(BUNDLE))
    if isinstance(store, FolderStorage):
        assert put(store, candidate, upload) == (413, "session_full")
        assert not submit(candidate, session, upload).json["verified"]
    else:
        assert put(store, candidate, upload) is None
        assert error_of(submit(candidate, session, upload)) == (413, "session_full")
    # No copy is left.
    assert download(reviewer, session) == BUNDLE
    assert Submission.select().where(Submission.object_key.is_null(False)).count() == 1
    assert session.lock().stored_bundle_bytes == len(BUNDLE)


def test_a_submissions_diff_and_file_tree_count_towards_the_limit(store, candidate, session, max_bytes):
    upload, diff = start_upload(candidate, session), "é" * 500
    assert put(store, candidate, upload) is None
    max_bytes(len(BUNDLE) + 1_000)
    assert error_of(submit(candidate, session, upload, diff=diff + "+")) == (413, "session_full")
    assert submit(candidate, session, upload, diff=diff).json["verified"]
    assert session.lock().stored_bundle_bytes == len(BUNDLE) + 1_000
    assert submit(candidate, session, upload, diff="", fileTree=["orders.py"]).json["verified"]
    assert session.lock().stored_bundle_bytes == len(BUNDLE) + 9


def test_a_bundle_too_large_for_the_store_is_not_copied(store, candidate, session, monkeypatch):
    upload = start_upload(candidate, session)
    put(store, candidate, upload)
    monkeypatch.setattr("storage.base.MAX_BUNDLE_BYTES", len(BUNDLE) - 1)
    monkeypatch.setattr(store, "_copy", lambda *keys: pytest.fail("The bundle was copied."))
    assert error_of(submit(candidate, session, upload)) == (413, "too_large")
    assert Submission.select().where(Submission.object_key.is_null(False)).count() == 0


def test_an_interrupted_submissions_copy_is_deleted(app, clock, store, candidate, session):
    upload = start_upload(candidate, session)
    put(store, candidate, upload)
    # The process is killed after the copy.
    copy = Submission.reserve(session, TAR, new_object_key(str(session.id)), upload["objectKey"])
    store.copy(upload["objectKey"], copy.object_key)
    clock.fixed += UPLOAD_URL_LIFETIME + MAX_UNUSED_AGE
    Worker(app.config, store).run_once()
    run_worker_after_removals(app, clock, store)
    assert not exists(store, copy.object_key)
    assert not Delivery.select().where(Delivery.kind == "removal", Delivery.state != "done").exists()


def test_a_git_submission_is_read_downloaded_and_erased(app, store, candidate, session, reviewer):
    content = bundle_of_blobs(a=b"a\n")
    submit_git_bundle(candidate, content)
    object_key = Submission.get().object_key
    Worker(app.config, store).run_once()
    files = body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff"))["files"]
    assert [file["path"] for file in files] == ["a"]
    assert reviewer.get(f"/v1/sessions/{session.id}/submission").data == content
    privacy.erase(session.key)
    Worker(app.config, store).run_once()
    assert not exists(store, object_key)


def test_a_rejected_git_submission_is_not_stored(candidate, session, store, monkeypatch):
    keys = []
    receive = store.receive
    monkeypatch.setattr(store, "receive", lambda key, *body: (keys.append(key), receive(key, *body)))
    assert error_of(submit_git_bundle(candidate, b"# v1 git")) == (400, "not_a_submission")
    assert not exists(store, keys[0])
