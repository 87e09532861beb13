"""Outages of the store: 503 where it is needed, nothing half done, all else works."""

import hashlib
import socket
import time
from datetime import timedelta
from urllib.parse import urlsplit

import factories
import pytest
from bundle_stores import failing_server, folder_at, s3_at
from s3_server import free_port

import storage.s3
from delivery.worker import Worker
from models import Delivery, Submission
from storage import Missing

BUNDLE = b"\x1f\x8b a bundle of code"
MAX_SECONDS = 3


@pytest.fixture
def bundles(app, tmp_path, monkeypatch):
    """The application's store until a test sets another."""
    folder = folder_at(tmp_path / "bundles")
    monkeypatch.setitem(app.extensions, "storage", folder)
    return folder


@pytest.fixture
def use(app, monkeypatch):
    return lambda store: monkeypatch.setitem(app.extensions, "storage", store)


@pytest.fixture(params=["no folder", "not a folder", "refused", "failing", "silent"])
def unavailable(request, tmp_path, monkeypatch):
    monkeypatch.setattr(storage.s3, "READ_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(storage.s3, "CONNECT_TIMEOUT_SECONDS", 0.3)
    if request.param == "no folder":
        yield folder_at(tmp_path / "missing" / "bundles")
    elif request.param == "not a folder":
        (tmp_path / "file").touch()
        yield folder_at(tmp_path / "file")
    elif request.param == "refused":
        yield s3_at(f"http://127.0.0.1:{free_port()}")
    elif request.param == "failing":
        with failing_server() as server:
            yield s3_at(f"http://127.0.0.1:{server.server_port}")
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield s3_at(f"http://127.0.0.1:{listener.getsockname()[1]}")


def open_upload(candidate, session):
    return candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)})


def put(candidate, place):
    url = urlsplit(place["uploadUrl"])
    headers = {"Content-Type": "application/gzip"}
    return candidate.client.put(f"{url.path}?{url.query}", data=BUNDLE, headers=headers)


def submit(candidate, session, place):
    digest = hashlib.sha256(BUNDLE).hexdigest()
    bundle = {"bundleKey": place["objectKey"], "bundleSize": len(BUNDLE), "bundleSha256": digest}
    return candidate.post("/v1/candidate/submit-code", {"sessionId": str(session.id)} | bundle)


@pytest.fixture
def uploaded(candidate, session, bundles):
    """An upload with its bundle in the store."""
    place = open_upload(candidate, session).json
    assert put(candidate, place).status_code == 200
    return place


def assert_unavailable(call):
    started = time.monotonic()
    response = call()
    assert (response.status_code, response.json["code"]) == (503, "store_unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert time.monotonic() - started < MAX_SECONDS


def test_code_can_be_submitted_after_the_outage(candidate, session, uploaded, bundles, unavailable, use):
    use(unavailable)
    assert_unavailable(lambda: submit(candidate, session, uploaded))
    assert Submission.select().count() == 0
    assert candidate.post("/v1/hooks/ingest", factories.envelope()).status_code == 201
    assert candidate.get("/v1/me").status_code == 200
    use(bundles)
    assert submit(candidate, session, uploaded).json["verified"] is True


def test_a_bundle_can_be_read_after_the_outage(
    candidate, reviewer, session, uploaded, bundles, unavailable, use
):
    submit(candidate, session, uploaded)
    path = f"/v1/sessions/{session.id}/bundle"
    use(unavailable)
    assert_unavailable(lambda: reviewer.get(path))
    assert_unavailable(lambda: reviewer.get(f"{path}/files"))
    assert reviewer.get(f"/v1/sessions/{session.id}").status_code == 200
    use(bundles)
    assert reviewer.get(path).data == BUNDLE


def test_an_erasure_succeeds_and_deletes_the_bundle_after_the_outage(
    app, clock, candidate, reviewer, uploaded, bundles, unavailable, use
):
    use(unavailable)
    assert reviewer.delete(f"/v1/candidates/{candidate.row.id}/data").status_code == 200
    Worker(app.config, unavailable).run_once()
    removals = Delivery.select().where(Delivery.kind == "removal")
    waiting = removals.order_by(Delivery.due_at).first()
    assert (waiting.state, waiting.attempts) == ("queued", 1)
    assert waiting.last_error
    assert bundles.size(uploaded["objectKey"])
    clock.fixed += timedelta(hours=2)
    Worker(app.config, bundles).run_once()
    with pytest.raises(Missing):
        bundles.size(uploaded["objectKey"])
    assert not removals.where(Delivery.state != "done").exists()


def test_a_missing_folder_is_not_created_again(candidate, session, bundles, tmp_path):
    """A volume that is not mounted would hide what is written to its mount point."""
    place = open_upload(candidate, session).json
    bundles.folder.rename(tmp_path / "unmounted")
    assert_unavailable(lambda: put(candidate, place))
    bundles.folder.touch()
    assert_unavailable(lambda: put(candidate, place))
    assert_unavailable(lambda: open_upload(candidate, session))
    bundles.folder.unlink()
    (tmp_path / "unmounted").rename(bundles.folder)
    assert list(bundles.folder.iterdir()) == []
    assert put(candidate, place).status_code == 200
