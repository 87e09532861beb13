"""The proxies as they run in earnest: the first token at once, what breaks shows, and events have their threads.

The upstream sends the next piece only when the test has seen the one before: what is held back anywhere on the
way would stop the test, not merely delay it.
"""

import http.client
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from tests.live.cast import begin, event, make_assessment, make_keys
from tests.live.client import at_once
from tests.live.service import wait_until
from tests.proxy.upstream import MESSAGE_EVENTS, PATIENCE_SECONDS, RESPONSE_EVENTS, START, streams

ANTHROPIC = "/v1/proxy/anthropic/v1/messages"
OPENAI = "/v1/proxy/openai/v1/responses"
STREAMING = b'{"model": "m", "stream": true}'
INGEST_SECONDS = 3


@pytest.fixture(scope="module")
def reviewer(service):
    return service.organization("Acme")


@pytest.fixture
def key(service, reviewer):
    """The key of a session that has begun."""
    (key,) = make_keys(reviewer, make_assessment(reviewer), 1)
    begin(service, key["key"])
    return key["key"]


@contextmanager
def asking(service, key, path=ANTHROPIC, body=STREAMING):
    """The answer to a call, of which nothing but the head has been read."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_SECONDS)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", path, body, headers)
        yield connection.getresponse()
    finally:
        connection.close()


def calls_kept(service, key):
    """Whether each of the calls kept with the key's session is whole."""
    statement = (
        "select is_whole from model_usage join sessions on sessions.id = session_id "
        "join candidate_keys on candidate_keys.id = key_id where candidate_keys.key = %s"
    )
    return [bool(is_whole) for (is_whole,) in service.execute(statement, key)]


@pytest.mark.parametrize(("path", "pieces"), [(ANTHROPIC, MESSAGE_EVENTS), (OPENAI, RESPONSE_EVENTS)])
def test_each_piece_arrives_before_the_provider_sends_the_next(service, service_upstream, key, path, pieces):
    seen = threading.Semaphore(0)

    def behave(exchange):
        exchange.begin_stream()
        for piece in pieces:
            assert seen.acquire(timeout=PATIENCE_SECONDS)
            exchange.piece(piece)
        exchange.end_stream()

    service_upstream.behave = behave
    with asking(service, key, path) as answer:
        assert answer.status == 200
        for piece in pieces:
            seen.release()
            assert answer.read(len(piece)) == piece
        assert answer.read() == b""


def test_the_bytes_of_a_plain_answer_are_not_held_back_either(service, service_upstream, key):
    seen = threading.Event()

    def behave(exchange):
        exchange.head(200, Content_Type="application/json", Content_Length="6")
        exchange.wfile.write(b'{"a"')
        assert seen.wait(PATIENCE_SECONDS)
        exchange.wfile.write(b":1")

    service_upstream.behave = behave
    with asking(service, key) as answer:
        assert answer.read(4) == b'{"a"'
        seen.set()
        assert answer.read() == b":1"


def test_a_body_without_a_length_goes_out_too(service, service_upstream, key):
    service_upstream.behave = streams(MESSAGE_EVENTS)
    with asking(service, key, body=iter([b'{"model"', b': "m"}'])) as answer:
        assert answer.read() == b"".join(MESSAGE_EVENTS)
    assert calls_kept(service, key) == [True]
    assert service_upstream.requests[-1].body == b'{"model": "m"}'


def test_connections_to_the_provider_are_used_again(service, service_upstream, key):
    ports = []

    def behave(exchange):
        ports.append(exchange.client_address)
        streams(MESSAGE_EVENTS)(exchange)

    service_upstream.behave = behave
    for _ in range(3):
        with asking(service, key) as answer:
            answer.read()
    assert len(set(ports)) == 1


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_client_that_hangs_up_ends_the_call_at_the_provider(service, service_upstream, key, has_begun):
    asked, seen = threading.Event(), threading.Event()

    def behave(exchange):
        if has_begun:
            exchange.begin_stream()
            exchange.piece(START)
        asked.set()
        # Nothing more comes from the provider, so nothing but a look at the client can tell.
        if exchange.sees_a_hangup():
            seen.set()

    service_upstream.behave = behave
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        head = f"POST {ANTHROPIC} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {len(STREAMING)}\r\n\r\n"
        client.sendall(head.encode() + STREAMING)
        assert asked.wait(PATIENCE_SECONDS)
    assert seen.wait(5)


def test_a_next_request_on_the_same_connection_is_no_hangup(service, service_upstream, key):
    asked, sent = threading.Event(), threading.Event()

    def behave(exchange):
        asked.set()
        assert sent.wait(PATIENCE_SECONDS)
        exchange.document(200, b"{}")

    service_upstream.behave = behave
    head = f"POST {ANTHROPIC} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {len(STREAMING)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS) as client:
        client.sendall(head.encode() + STREAMING)
        assert asked.wait(PATIENCE_SECONDS)
        client.sendall(head.encode() + STREAMING)
        sent.set()
        for _ in range(2):
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert (answer.status, answer.read(2)) == (200, b"{}")


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        ({"Transfer_Encoding": "chunked"}, b"3\r\nabc\r\n"),
        ({"Transfer_Encoding": "chunked"}, b"ff\r\nabc"),
        ({"Content_Length": "100"}, b"abc"),
    ],
)
def test_an_answer_that_breaks_off_at_the_provider_breaks_off_at_the_client(
    service, service_upstream, key, head, rest
):
    def behave(exchange):
        exchange.head(200, Content_Type="text/event-stream", **head)
        exchange.wfile.write(rest)
        exchange.break_off()

    service_upstream.behave = behave
    with asking(service, key) as answer, pytest.raises(http.client.IncompleteRead) as broken:
        answer.read()
    assert broken.value.partial == b"abc"
    wait_until(lambda: calls_kept(service, key) == [False], "What the broken call used is not kept.")
    assert "Traceback" not in service.log()


def test_events_are_stored_quickly_while_every_place_for_a_stream_is_taken(service, service_upstream, key):
    def behave(exchange):
        exchange.begin_stream()
        exchange.piece(START)
        exchange.sees_a_hangup()

    service_upstream.behave = behave
    with asking(service, key) as one, asking(service, key) as two, asking(service, key) as three:
        assert [answer.read(len(START)) for answer in (one, two, three)] == [START] * 3
        with asking(service, key) as refused:
            assert refused.status == 529
            assert json.loads(refused.read())["error"]["type"] == "overloaded_error"
        client = service.candidate(key)
        client.timeout = INGEST_SECONDS
        sent = [lambda: client.post("/v1/hooks/ingest", event()).status for _ in range(40)]
        assert at_once(sent) == [201] * 40


def test_the_log_tells_nothing_of_keys_prompts_and_answers(service, service_upstream, key):
    service_upstream.behave = streams(MESSAGE_EVENTS)
    with asking(service, key, body=b'{"prompt": "a secret question"}') as answer:
        answer.read()
    log = service.log()
    for secret in (key, "sk-ant-ours", "secret question", "content_block"):
        assert secret not in log
