"""The proxies in a running service: streaming, interruptions, and threads for other requests."""

import http.client
import json
import socket
import threading
from functools import partial

import pytest

from tests.live.cast import event, make_assessment, make_keys, start_session
from tests.live.client import run_concurrently
from tests.live.service import wait_until
from tests.proxy import live_calls
from tests.proxy.upstream import (
    MESSAGE_EVENTS,
    MESSAGES,
    RESPONSE_EVENTS,
    RESPONSES,
    START,
    STREAMING_BODY,
    TIMEOUT_SECONDS,
    documents,
    stay_open,
    streams,
)

CLIENT_TIMEOUT_SECONDS = 10
MAX_BODY_BYTES = 32 * 1024 * 1024 - 20


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxy")
    settings = {"WEB_THREADS": "8", "PROXY_STREAMS": "3"}
    with live_calls.proxy_service(folder, f"sqlite:///{folder}/proofstone.db", **settings) as service:
        yield service


@pytest.fixture(scope="module")
def reviewer(service):
    return service.organization("Acme")


@pytest.fixture
def keys(service, reviewer):
    """Two open sessions' keys."""
    keys = [key["key"] for key in make_keys(reviewer, make_assessment(reviewer), 2)]
    for key in keys:
        start_session(service, key)
    return keys


@pytest.fixture
def key(keys):
    return keys[0]


@pytest.fixture
def calling(service, key):
    return partial(live_calls.calling, service, key)


@pytest.fixture
def stored_calls(service, key):
    """Get `is_whole` of the key's stored calls."""
    statement = (
        "select is_whole from model_usage join sessions on sessions.id = session_id "
        "join candidate_keys on candidate_keys.id = key_id where candidate_keys.key = %s"
    )
    return lambda: [bool(is_whole) for (is_whole,) in service.execute(statement, key)]


@pytest.fixture
def raw_request(key):
    return live_calls.raw_request(key, STREAMING_BODY)


@pytest.mark.parametrize(
    ("path", "chunks"),
    [(MESSAGES, MESSAGE_EVENTS), (RESPONSES, RESPONSE_EVENTS), (MESSAGES, [b'{"a"', b":1}"])],
)
def test_streams_and_documents_are_not_buffered(service, calling, path, chunks):
    # The upstream sends a chunk only when the client waits for it.
    waits = threading.Semaphore(0)

    def respond(exchange):
        is_stream = len(chunks) > 2
        if is_stream:
            exchange.start_stream()
        else:
            exchange.head(200, Content_Type="application/json", Content_Length=str(len(b"".join(chunks))))
        for chunk in chunks:
            assert waits.acquire(timeout=TIMEOUT_SECONDS)
            (exchange.chunk if is_stream else exchange.wfile.write)(chunk)
        if is_stream:
            exchange.end_stream()

    service.upstream.respond = respond
    with calling(path) as response:
        assert response.status == 200
        for chunk in chunks:
            waits.release()
            assert response.read(len(chunk)) == chunk
        assert response.read() == b""


def test_chunked_requests_share_one_upstream_connection(service, calling, stored_calls):
    service.upstream.respond = streams(MESSAGE_EVENTS)
    for _ in range(3):
        with calling(body=iter([b'{"model"', b': "m"}'])) as response:
            assert response.read() == b"".join(MESSAGE_EVENTS)
    assert stored_calls() == [True] * 3
    assert {request.body for request in service.upstream.requests[-3:]} == {b'{"model": "m"}'}
    assert len({request.client for request in service.upstream.requests[-3:]}) == 1


@pytest.mark.parametrize("has_started", [False, True])
def test_a_disconnected_client_ends_the_call(service, raw_request, has_started):
    received, ended = threading.Event(), threading.Event()

    def respond(exchange):
        if has_started:
            exchange.start_stream()
            exchange.chunk(START)
        received.set()
        # The provider sends nothing more, so only the client's socket shows the disconnect.
        exchange.wait_for_disconnect()
        ended.set()

    service.upstream.respond = respond
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(raw_request)
        assert received.wait(TIMEOUT_SECONDS)
    assert ended.wait(TIMEOUT_SECONDS / 2)


def test_a_pipelined_request_is_not_a_disconnect(service, raw_request):
    received, pipelined = threading.Event(), threading.Event()

    def respond(exchange):
        received.set()
        assert pipelined.wait(TIMEOUT_SECONDS)
        exchange.document(200, b"{}")

    service.upstream.respond = respond
    with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT_SECONDS) as client:
        client.sendall(raw_request)
        assert received.wait(TIMEOUT_SECONDS)
        client.sendall(raw_request)
        pipelined.set()
        # One buffer for both responses: an HTTPResponse can read into the next response.
        stream = client.makefile("rb")
        for _ in range(2):
            assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = http.client.parse_headers(stream)
            assert stream.read(int(headers["Content-Length"])) == b"{}"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Transfer_Encoding": "chunked"}, b"3\r\nabc\r\n"),
        ({"Transfer_Encoding": "chunked"}, b"ff\r\nabc"),
        ({"Content_Length": "100"}, b"abc"),
    ],
)
def test_the_client_notices_an_interrupted_response(service, calling, stored_calls, headers, body):
    def respond(exchange):
        exchange.head(200, Content_Type="text/event-stream", **headers)
        exchange.wfile.write(body)
        exchange.disconnect()

    service.upstream.respond = respond
    with calling() as response, pytest.raises(http.client.IncompleteRead) as interrupted:
        response.read()
    assert interrupted.value.partial == b"abc"
    wait_until(lambda: stored_calls() == [False], "The interrupted call was not stored.")
    assert "Traceback" not in service.log()


def test_ingest_is_fast_while_all_stream_slots_are_in_use(service, keys, calling):
    service.upstream.respond = stay_open
    key, other = keys
    with (
        calling() as one,
        calling() as two,
        calling() as rejected,
        live_calls.calling(service, other) as three,
    ):
        # A key can use two of the three slots.
        assert rejected.status == 529
        assert json.loads(rejected.read())["error"]["type"] == "overloaded_error"
        assert [response.read(len(START)) for response in (one, two, three)] == [START] * 3
        client = service.candidate(key)
        client.timeout = CLIENT_TIMEOUT_SECONDS
        calls = [lambda: client.post("/v1/hooks/ingest", event()).status for _ in range(40)]
        assert run_concurrently(calls) == [201] * 40
    service.upstream.respond = documents(200, {})

    def send():
        with calling() as response:
            return response.status

    wait_until(lambda: run_concurrently([send] * 2) == [200] * 2, "The disconnected calls did not end.")


def test_keys_prompts_and_responses_are_not_logged(service, key, calling):
    service.upstream.respond = streams(MESSAGE_EVENTS)
    with calling(body=b'{"prompt": "a secret question"}') as response:
        response.read()
    log = service.log()
    for secret in (key, "sk-ant-ours", "secret question", "content_block"):
        assert secret not in log


def test_hostile_bodies_take_little_memory_and_time(service, keys):
    service.upstream.respond = documents(200, {})
    bodies = [
        b'{"input": [%b1]}' % (item * (MAX_BODY_BYTES // len(item))) for item in (b"{},", b'"",', b"1,")
    ]
    bodies.append(b'{"tools": %b' % (b'[{"tools":' * (MAX_BODY_BYTES // 10)))
    before = service.peak_mib()

    def send_rejected(body, key):
        with live_calls.calling(service, key, RESPONSES, body) as response:
            assert response.status == 400
            assert response.read()

    client = service.candidate(keys[0])
    client.timeout = CLIENT_TIMEOUT_SECONDS
    for body in bodies:
        calls = [partial(send_rejected, body, key) for key in keys]
        calls += [lambda: client.post("/v1/hooks/ingest", event()).status] * 4
        assert run_concurrently(calls)[2:] == [201] * 4
    # At most two bodies are scanned at once, and they are read from temporary files.
    assert service.peak_mib() - before < 150
