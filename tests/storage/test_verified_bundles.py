"""Uploads and submissions with each store: verified bundles stay, and a session's share of the store is limited."""

import gzip
import hashlib
import urllib.request
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from callers import Caller
from factories import add_event, envelope
from response_checks import error_of

from delivery.worker import Worker
from errors import NotFound
from models import Delivery, Submission
from models.deliveries.outbox import MAX_UPLOAD_DURATION
from models.sessions.submissions import TAR
from models.sessions.submissions.objects import MAX_UNUSED_AGE, UPLOAD_URL_LIFETIME
from storage import FolderStorage, new_object_key

BUNDLE = gzip.compress(b"the files of a workspace", mtime=0)
OTHER = gzip.compress(b"better files", mtime=0)
HEADERS = {"Content-Type": "application/gzip"}


@pytest.fixture(autouse=True)
def _use_store(app, store, monkeypatch):
    monkeypatch.setitem(app.extensions, "storage", store)


@pytest.fixture
def max_bytes(app, monkeypatch):
    return lambda size: monkeypatch.setitem(app.config, "SESSION_MAX_BYTES", size)


def open_upload(candidate, session):
    return candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)}).json


def put(store, candidate, upload, bundle=BUNDLE):
    """Send a bundle; returns the error, None if it was stored."""
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
    upload = open_upload(candidate, session)
    assert put(store, candidate, upload, bundle) is None
    return submit(candidate, session, upload, bundle)


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


def test_a_verified_bundle_stays_whatever_is_uploaded_later(app, clock, store, candidate, reviewer, session):
    upload = open_upload(candidate, session)
    assert put(store, candidate, upload) is None
    assert submit(candidate, session, upload).json["verified"]
    rejected = put(store, candidate, upload, OTHER)
    assert rejected == ((403, "upload_rejected") if isinstance(store, FolderStorage) else None)
    assert download(reviewer, session) == BUNDLE
    # The client repeats a submission whose response it lost.
    assert submit(candidate, session, upload).json["verified"]
    assert not submit(candidate, session, upload, OTHER).json["verified"]
    run_worker_after_removals(app, clock, store)
    assert not exists(store, upload["objectKey"])
    assert download(reviewer, session) == BUNDLE


def test_an_upload_during_the_submission_does_not_change_what_was_verified(
    store, candidate, reviewer, session, monkeypatch
):
    upload, read = open_upload(candidate, session), store.size_and_sha256
    put(store, candidate, upload)

    def upload_and_read(object_key):
        assert put(store, candidate, upload, OTHER) is None
        return read(object_key)

    with monkeypatch.context() as patch:
        patch.setattr(store, "size_and_sha256", upload_and_read)
        assert submit(candidate, session, upload).json["verified"]
    assert download(reviewer, session) == BUNDLE


def test_opening_a_fourth_upload_closes_the_oldest(store, candidate, session):
    oldest, *newer = [open_upload(candidate, session) for _ in range(4)]
    rejected = put(store, candidate, oldest)
    assert rejected == ((403, "upload_rejected") if isinstance(store, FolderStorage) else None)
    assert submit(candidate, session, oldest).json == {"ok": True, "verified": False}
    for upload in newer:
        assert put(store, candidate, upload) is None
        assert submit(candidate, session, upload).json["verified"]


def test_verified_uploads_are_closed_and_none_is_rejected_for_its_number(store, candidate, session):
    waiting = open_upload(candidate, session)
    for number in range(10):
        assert upload_and_submit(store, candidate, session, BUNDLE + b"%d" % number).json["verified"]
    assert put(store, candidate, waiting) is None
    assert submit(candidate, session, waiting).json["verified"]


def test_superseded_bundles_are_deleted_and_do_not_count(app, clock, store, candidate, session, max_bytes):
    max_bytes(2 * len(BUNDLE))
    copies = set()
    for _ in range(10):
        assert upload_and_submit(store, candidate, session).json["verified"]
        copies.add(Submission.current(session, TAR).object_key)
    run_worker_after_removals(app, clock, store)
    assert [key for key in copies if exists(store, key)] == [Submission.current(session, TAR).object_key]


def test_bundles_and_events_share_the_sessions_bytes(store, candidate, reviewer, session, max_bytes):
    assert upload_and_submit(store, candidate, session).json["verified"]
    add_event(session, envelope("prompt", data={"text": "x" * 1_000}))
    upload = open_upload(candidate, session)
    max_bytes(1_000 + len(BUNDLE))
    if isinstance(store, FolderStorage):
        assert put(store, candidate, upload) == (413, "session_full")
        assert not submit(candidate, session, upload).json["verified"]
    else:
        assert put(store, candidate, upload) is None
        assert error_of(submit(candidate, session, upload)) == (413, "session_full")
    # Nothing else has changed, and no copy is left.
    assert download(reviewer, session) == BUNDLE
    assert Submission.select().where(Submission.object_key.is_null(False)).count() == 1
    assert session.lock().stored_bundle_bytes == len(BUNDLE)


def test_the_diff_counts_with_the_bundle_while_its_submission_counts(store, candidate, session, max_bytes):
    upload, diff = open_upload(candidate, session), "é" * 500
    assert put(store, candidate, upload) is None
    max_bytes(len(BUNDLE) + 1_000)
    assert error_of(submit(candidate, session, upload, diff=diff + "+")) == (413, "session_full")
    assert submit(candidate, session, upload, diff=diff).json["verified"]
    assert session.lock().stored_bundle_bytes == len(BUNDLE) + 1_000
    assert submit(candidate, session, upload, diff="", fileTree=["orders.py"]).json["verified"]
    assert session.lock().stored_bundle_bytes == len(BUNDLE) + 9


def test_a_bundle_too_large_for_the_store_is_not_copied(store, candidate, session, monkeypatch):
    upload = open_upload(candidate, session)
    put(store, candidate, upload)
    monkeypatch.setattr("storage.base.MAX_BUNDLE_BYTES", len(BUNDLE) - 1)
    monkeypatch.setattr(store, "_copy", lambda *keys: pytest.fail("copied"))
    assert error_of(submit(candidate, session, upload)) == (413, "too_large")
    assert Submission.select().where(Submission.object_key.is_null(False)).count() == 0


def test_the_copy_of_an_interrupted_submission_is_deleted(app, clock, store, candidate, session):
    upload = open_upload(candidate, session)
    put(store, candidate, upload)
    # The process is killed after the copy.
    copy = Submission.reserve(session, TAR, new_object_key(str(session.id)), upload["objectKey"])
    store.copy(upload["objectKey"], copy.object_key)
    clock.fixed += UPLOAD_URL_LIFETIME + MAX_UNUSED_AGE
    Worker(app.config, store).run_once()
    run_worker_after_removals(app, clock, store)
    assert not exists(store, copy.object_key)
    assert not Delivery.select().where(Delivery.kind == "removal", Delivery.state != "done").exists()
