"""The store's marker: a missing or different folder or bucket loses no submission, and nobody is blamed for it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from bundle_stores import bundle_files, folder_at, s3_at, use_store
from callers import Caller
from response_checks import body_of, error_of

from delivery.worker import Worker
from errors import WrongStore
from models import StorageMarker, Submission, TaskFailure, sessions
from ops import readiness
from storage import FolderStorage
from tests.delivery.mail_server import free_port
from tests.git_bundles.bundles import bundle_of_blobs
from tests.storage.test_submissions import BUNDLE, put, start_upload, submit, submit_git_bundle

WORK = bundle_of_blobs(a=b"a\n")
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def new_store(app, request, store, tmp_path):
    """A function that returns an empty store of the same kind."""

    def create():
        if isinstance(store, FolderStorage):
            return folder_at(tmp_path / uuid4().hex)
        return s3_at(request.getfixturevalue("s3_url"), prefix=f"{uuid4().hex}/")

    return create


@pytest.fixture
def use(app, monkeypatch):
    """A function that makes a store the web process's."""
    monkeypatch.setattr(readiness, "CACHE_SECONDS", 0)

    def use(store):
        monkeypatch.setitem(app.extensions, "storage", store)
        monkeypatch.setattr(app.extensions["readiness"], "_storage", store)

    return use


@pytest.fixture
def marked(app, store, monkeypatch):
    use_store(app, store, monkeypatch)
    return store


@pytest.fixture
def run_worker(app, clock):
    """A function that runs a worker with a store, a quarter of an hour later."""

    def run(store):
        clock.fixed += timedelta(minutes=15)
        Worker(app.config, store).run_once()

    return run


def integrity_codes(reviewer, session):
    findings = body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"]
    return [finding["code"] for finding in findings]


def assert_rejected(response):
    assert error_of(response) == (503, "store_unavailable")
    assert int(response.headers["Retry-After"]) >= 20
    assert "flask" not in response.text


def test_only_the_first_store_is_marked_automatically(new_store):
    StorageMarker.delete().execute()
    first, second = new_store(), new_store()
    for _ in range(2):
        StorageMarker.require(first)
    assert first.read_marker() == str(StorageMarker.get().id)
    with pytest.raises(WrongStore, match=r"has no marker.*run `flask storage adopt`\."):
        StorageMarker.require(second)
    assert second.read_marker() is None


def test_another_installations_store_is_not_taken_over(new_store):
    StorageMarker.delete().execute()
    store = new_store()
    store.write_marker("another installation")
    with pytest.raises(WrongStore, match="marker of another installation"):
        StorageMarker.require(store)
    assert store.read_marker() == "another installation"


def test_an_unmarked_store_accepts_nothing_and_is_reported_until_it_is_adopted(
    app, anonymous, candidate, session, reviewer, marked, new_store, use, flask
):
    upload, other = start_upload(candidate, session), new_store()
    use(other)
    assert_rejected(submit_git_bundle(candidate, WORK))
    assert_rejected(candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)}))
    assert_rejected(submit(candidate, session, upload))
    if isinstance(other, FolderStorage):
        assert put(other, candidate, upload) == (503, "store_unavailable")
        assert not other.folder.exists()
    assert Submission.select().count() == 0
    ready = anonymous.get("/v1/ready")
    assert (ready.status_code, ready.json["parts"]["storage"]) == (503, "unavailable")
    assert "storage: The bundle store has no marker" in flask("doctor", fails=True)
    assert flask("storage", "adopt") == "Marked the bundle store as this installation's.\n"
    assert anonymous.get("/v1/ready").status_code == 200
    assert submit_git_bundle(candidate, WORK).status_code == 200
    assert "storage: Bundles can be stored." in flask("doctor")


def test_a_missing_store_is_a_metric(app_with, marked, new_store, monkeypatch):
    monitored = app_with(METRICS_TOKEN=TOKEN, RATELIMIT_ENABLED="false")
    for store, value in ((marked, 1), (new_store(), 0)):
        monkeypatch.setattr(monitored.extensions["readiness"], "_storage", store)
        monkeypatch.setattr(monitored.extensions["readiness"], "_cache", {})
        page = Caller(monitored, Authorization=f"Bearer {TOKEN}").get("/metrics").text
        assert f"proofstone_storage_up {value}.0\n" in page


def test_a_worker_with_another_store_blames_nobody_and_is_reported(
    candidate, session, reviewer, marked, new_store, run_worker, flask
):
    submit_git_bundle(candidate, WORK)
    sessions.complete(session)
    for _ in range(5):
        run_worker(new_store())
    assert Submission.get().state == "waiting"
    assert "submission_unreadable" not in integrity_codes(reviewer, session)
    assert TaskFailure.counts() == {"storage": 1}
    assert "`storage` has failed since" in flask("doctor", fails=True)
    run_worker(marked)
    assert Submission.get().state == "read"
    assert TaskFailure.counts() == {}


def test_a_worker_with_another_store_does_not_report_removals_as_done(
    candidate, session, reviewer, marked, new_store, run_worker
):
    submit_git_bundle(candidate, WORK)
    object_key = Submission.get().object_key
    body_of(reviewer.delete(f"/v1/candidates/{candidate.row.id}/data"))
    run_worker(new_store())
    assert marked.size(object_key) == len(WORK)
    for _ in range(8):
        run_worker(marked)
    if isinstance(marked, FolderStorage):
        assert bundle_files(marked.folder) == []


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_bucket_that_is_down_loses_nothing(
    anonymous, candidate, session, reviewer, marked, use, run_worker, flask
):
    submit_git_bundle(candidate, WORK)
    down = s3_at(f"http://127.0.0.1:{free_port()}")
    use(down)
    assert error_of(submit_git_bundle(candidate, WORK)) == (503, "store_unavailable")
    assert anonymous.get("/v1/ready").json["parts"]["storage"] == "unavailable"
    assert "storage: The bundle store is unreachable." in flask("doctor", fails=True)
    for _ in range(5):
        run_worker(down)
    assert TaskFailure.counts() == {"storage": 1}
    use(marked)
    run_worker(marked)
    assert [submission.state for submission in Submission.select()] == ["read"]
    assert "submission_unreadable" not in integrity_codes(reviewer, session)


def test_a_stored_bundle_is_not_missing_in_another_store(
    candidate, reviewer, session, marked, new_store, use
):
    upload = start_upload(candidate, session)
    assert put(marked, candidate, upload) is None
    assert submit(candidate, session, upload).json["verified"]
    path = f"/v1/sessions/{session.id}/bundle"
    use(new_store())
    assert error_of(reviewer.get(path)) == (503, "store_unavailable")
    use(marked)
    assert reviewer.get(path).data == BUNDLE
