"""A store that is away: 503 with Retry-After where it is needed, nothing half done, and all else goes on."""

import hashlib
import io
import socket
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import factories
import pytest
from s3_server import free_port

import storage.s3
from delivery.worker import Worker
from models import Delivery, Submission
from storage import FolderStorage, Missing, S3Storage, Unavailable, new_object_key

BUNDLE = b"\x1f\x8b a bundle of code"
SESSION = "11111111-1111-4111-8111-111111111111"
BOUND_SECONDS = 3


class Failing(BaseHTTPRequestHandler):
    """A store that says that it cannot."""

    def answer(self):
        self.server.asked += 1
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_DELETE = answer

    def log_message(self, *args):
        pass


@contextmanager
def failing():
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        server.asked = 0
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def s3_at(port):
    credentials = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret"}
    return S3Storage("bundles", endpoint_url=f"http://127.0.0.1:{port}", region="eu-central-1", **credentials)


@pytest.fixture
def quick(monkeypatch):
    """The limits on the store's time, shortened."""
    monkeypatch.setattr(storage.s3, "READ_SECONDS", 0.3)
    monkeypatch.setattr(storage.s3, "CONNECT_SECONDS", 0.3)


@pytest.fixture
def bundles(app, tmp_path, monkeypatch):
    """The store, and that of the application until a test sets another."""
    folder = FolderStorage(tmp_path / "bundles", "http://localhost", lambda: bytes(32))
    monkeypatch.setitem(app.extensions, "storage", folder)
    return folder


@pytest.fixture(params=["gone", "no folder", "refused", "failing", "silent"])
def away(request, tmp_path, quick):
    """A store that cannot be used."""
    if request.param == "gone":
        yield FolderStorage(tmp_path / "not there" / "bundles", "http://localhost", lambda: bytes(32))
    elif request.param == "no folder":
        (tmp_path / "file").touch()
        yield FolderStorage(tmp_path / "file", "http://localhost", lambda: bytes(32))
    elif request.param == "refused":
        yield s3_at(free_port())
    elif request.param == "failing":
        with failing() as server:
            yield s3_at(server.server_port)
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield s3_at(listener.getsockname()[1])


@pytest.fixture
def use(app, monkeypatch):
    return lambda store: monkeypatch.setitem(app.extensions, "storage", store)


def place_for(candidate, session):
    return candidate.post("/v1/candidate/upload-url", {"sessionId": str(session.id)})


def put(candidate, place):
    parts = urlsplit(place["uploadUrl"])
    headers = {"Content-Type": "application/gzip"}
    return candidate.client.put(f"{parts.path}?{parts.query}", data=BUNDLE, headers=headers)


def submit(candidate, session, place):
    digest = hashlib.sha256(BUNDLE).hexdigest()
    told = {"bundleKey": place["objectKey"], "bundleSize": len(BUNDLE), "bundleSha256": digest}
    return candidate.post("/v1/candidate/submit-code", {"sessionId": str(session.id)} | told)


def assert_away(call):
    began = time.monotonic()
    answer = call()
    assert (answer.status_code, answer.json["code"]) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert time.monotonic() - began < BOUND_SECONDS


def test_code_is_submitted_once_the_store_is_back(candidate, session, bundles, away, use):
    place = place_for(candidate, session).json
    assert put(candidate, place).status_code == 200
    use(away)
    assert_away(lambda: submit(candidate, session, place))
    assert Submission.select().count() == 0
    # What needs no store is done meanwhile.
    assert candidate.post("/v1/hooks/ingest", factories.envelope()).status_code == 201
    assert candidate.get("/v1/me").status_code == 200
    use(bundles)
    assert submit(candidate, session, place).json["verified"] is True


def test_a_bundle_can_be_read_once_the_store_is_back(candidate, reviewer, session, bundles, away, use):
    place = place_for(candidate, session).json
    put(candidate, place)
    submit(candidate, session, place)
    path = f"/v1/sessions/{session.id}/bundle"
    use(away)
    assert_away(lambda: reviewer.get(path))
    assert_away(lambda: reviewer.get(f"{path}/files"))
    assert reviewer.get(f"/v1/sessions/{session.id}").status_code == 200
    use(bundles)
    assert reviewer.get(path).data == BUNDLE


def test_an_erasure_is_done_at_once_and_the_bundle_goes_when_the_store_is_back(
    app, candidate, reviewer, session, bundles, away, use, clock
):
    place = place_for(candidate, session).json
    put(candidate, place)
    use(away)
    assert reviewer.delete(f"/v1/candidates/{candidate.row.id}/data").status_code == 200
    Worker(app.config, away).work_off()
    waiting = Delivery.select().where(Delivery.kind == "removal").order_by(Delivery.due_at).first()
    assert (waiting.state, waiting.attempts) == ("queued", 1)
    assert waiting.last_error
    assert bundles.exists(place["objectKey"])
    clock.fixed += timedelta(hours=2)
    Worker(app.config, bundles).work_off()
    assert not bundles.exists(place["objectKey"])
    assert not Delivery.select().where(Delivery.kind == "removal", Delivery.state != "done").exists()


def test_a_folder_that_is_away_takes_no_upload_and_gives_out_no_address(
    candidate, session, bundles, tmp_path
):
    place = place_for(candidate, session).json
    bundles.folder.rename(tmp_path / "elsewhere")
    # Not made anew: what is written beside the volume that should be there is lost when it comes back.
    assert_away(lambda: put(candidate, place))
    bundles.folder.touch()
    assert_away(lambda: put(candidate, place))
    assert_away(lambda: place_for(candidate, session))
    bundles.folder.unlink()
    (tmp_path / "elsewhere").rename(bundles.folder)
    assert list(bundles.folder.iterdir()) == []
    assert put(candidate, place).status_code == 200


# The storage itself


def test_what_cannot_be_removed_now_is_not_taken_for_removed(tmp_path, bundles):
    key = new_object_key(SESSION)
    bundles.folder.mkdir()
    bundles.receive(key, io.BytesIO(BUNDLE), len(BUNDLE))
    bundles.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        bundles.delete(key)
    with pytest.raises(Unavailable):
        bundles.size(key)
    (tmp_path / "elsewhere").rename(bundles.folder)
    bundles.delete(key)
    with pytest.raises(Missing):
        bundles.size(key)


def test_while_a_store_is_away_only_one_caller_at_a_time_waits_for_it(quick, monkeypatch):
    with failing() as server:
        store, key = s3_at(server.server_port), new_object_key(SESSION)
        for _ in range(5):
            with pytest.raises(Unavailable):
                store.size(key)
        assert server.asked == storage.s3.TRIES
        monkeypatch.setattr(storage.s3, "PAUSE_SECONDS", 0)
        store._outage._ask_at = 0
        with pytest.raises(Unavailable):
            store.size(key)
        assert server.asked == 2 * storage.s3.TRIES
