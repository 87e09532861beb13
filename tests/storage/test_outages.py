"""During an outage, requests that need the store are 503, and all other requests work."""

import socket
from datetime import timedelta

import factories
import pytest
from bundle_stores import folder_at, s3_at

import storage.s3
from delivery.worker import Worker
from errors import NotFound, StoreUnavailable
from models import Delivery, StorageMarker, Submission
from tests.delivery.mail_server import free_port
from tests.delivery.receiver import receiving
from tests.storage.test_submissions import BUNDLE, put, start_upload, submit


def test_an_unusable_store_is_unavailable(object_key, s3_url, tmp_path, monkeypatch):
    monkeypatch.setattr(storage.s3, "READ_TIMEOUT_SECONDS", 0.3)
    (tmp_path / "file").touch()
    with receiving() as failing, socket.create_server(("127.0.0.1", 0)) as silent:
        failing.status = 500
        ports = failing.port, silent.getsockname()[1], free_port()
        for store in (
            folder_at(tmp_path / "missing"),
            folder_at(tmp_path / "file"),
            s3_at(s3_url, bucket="missing"),
            *(s3_at(f"http://127.0.0.1:{port}") for port in ports),
        ):
            for call in (store.open, store.delete):
                with pytest.raises(StoreUnavailable):
                    call(object_key)


@pytest.fixture
def use(app, monkeypatch):
    return lambda store: monkeypatch.setitem(app.extensions, "storage", store)


@pytest.fixture
def bundles(tmp_path, use):
    """The application's store."""
    folder = folder_at(tmp_path / "bundles")
    StorageMarker.adopt(folder)
    use(folder)
    return folder


@pytest.fixture
def outage(tmp_path):
    """An unavailable store."""
    return folder_at(tmp_path / "missing")


@pytest.fixture
def uploaded(candidate, session, bundles):
    """An upload whose bundle is in the store."""
    upload = start_upload(candidate, session)
    assert put(bundles, candidate, upload) is None
    return upload


def assert_unavailable(response):
    assert (response.status_code, response.json["code"]) == (503, "store_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_code_can_be_submitted_and_read_after_the_outage(
    candidate, reviewer, session, uploaded, bundles, outage, use
):
    path = f"/v1/sessions/{session.id}/bundle"
    use(outage)
    assert_unavailable(submit(candidate, session, uploaded))
    assert Submission.select().count() == 0
    assert candidate.post("/v1/hooks/ingest", factories.envelope()).status_code == 201
    use(bundles)
    assert submit(candidate, session, uploaded).json["verified"] is True
    use(outage)
    assert_unavailable(reviewer.get(path))
    assert_unavailable(reviewer.get(f"{path}/files"))
    assert reviewer.get(f"/v1/sessions/{session.id}").status_code == 200
    use(bundles)
    assert reviewer.get(path).data == BUNDLE


def test_an_erasure_succeeds_and_deletes_the_bundle_after_the_outage(
    app, clock, candidate, reviewer, uploaded, bundles, outage, use
):
    use(outage)
    assert reviewer.delete(f"/v1/candidates/{candidate.row.id}/data").status_code == 200
    Worker(app.config, outage).run_once()
    removals = Delivery.select().where(Delivery.kind == "removal")
    waiting = removals.order_by(Delivery.due_at).first()
    assert (waiting.state, waiting.attempts) == ("queued", 1)
    assert waiting.last_error == StoreUnavailable.message
    assert bundles.size(uploaded["objectKey"])
    clock.fixed += timedelta(hours=2)
    Worker(app.config, bundles).run_once()
    with pytest.raises(NotFound):
        bundles.size(uploaded["objectKey"])
    assert not removals.where(Delivery.state != "done").exists()
