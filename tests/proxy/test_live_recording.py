"""Recording in a running service: parallel calls, a killed process, and free calls."""

import http.client
import json
import os
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.cast import event
from tests.live.client import run_concurrently
from tests.live.service import wait_until
from tests.proxy.live_calls import calling, proxy_service, start_recorded_session
from tests.proxy.upstream import (
    MESSAGE,
    MESSAGE_EVENTS,
    MESSAGES,
    TIMEOUT_SECONDS,
    documents,
    streams,
)
from tests.rules.agents import messages

CLAUDE_CODE = {"User_Agent": "claude-cli/2.1.197 (external, cli)", "X_Claude_Code_Session_Id": "agent-1"}
TEXT = "".join(
    json.loads(part.split(b"data: ")[1])["delta"]["text"] for part in MESSAGE_EVENTS if b"text_delta" in part
)


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request, tmp_path):
    """A process that forwards to an upstream."""
    url = f"sqlite:///{tmp_path}/proofstone.db"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.create_database("proofstone_recording_test")
    settings = {"WEB_THREADS": "36", "PROXY_STREAMS": "30", "PROXY_STREAMS_PER_KEY": "6"}
    with proxy_service(tmp_path, url, SESSION_DEFAULT_BUDGET_USD="100", **settings) as service:
        yield service


@pytest.fixture
def key(service):
    return start_recorded_session(service)


def conversation(*texts, marker=""):
    """A Claude Code request whose messages alternate between the user and the model."""
    history = [(messages.assistant if n % 2 else messages.user)(text) for n, text in enumerate(texts)]
    body = {"model": "claude-haiku-4-5", "max_tokens": 1000, "stream": True, "tools": messages.TOOLS}
    return json.dumps(body | {"messages": history, "metadata": {"marker": marker}}).encode()


def send(service, key, body, path=MESSAGES):
    with calling(service, key, path, body, **CLAUDE_CODE) as response:
        return response.status, response.read()


def recorded(service):
    """The recorded events' kinds and texts, by time."""
    rows = service.execute("select envelope from events where channel = 'proxy' order by time_ns, seq")
    events = [json.loads(envelope) for (envelope,) in rows]
    return [
        (event["kind"], event["data"].get("text") or event["data"].get("lastAssistantMessage"))
        for event in events
    ]


def test_events_are_committed_before_the_client_receives_the_last_byte(service, key):
    for number, respond in enumerate([streams(MESSAGE_EVENTS), documents(200, MESSAGE)]):
        service.upstream.respond = respond
        send(service, key, conversation(f"Question {number}"))
        assert ("prompt", f"Question {number}") in recorded(service)


def test_the_next_request_records_the_texts_of_a_killed_process(service, key):
    received = threading.Event()

    def respond(exchange):
        exchange.start_stream()
        for part in MESSAGE_EVENTS[:-1]:
            exchange.chunk(part)
        received.set()
        exchange.wait_for_disconnect()

    service.upstream.respond = respond
    with calling(service, key, body=conversation("Hello"), **CLAUDE_CODE) as response:
        assert received.wait(TIMEOUT_SECONDS)
        response.read(10)
        for pid in service.web_processes():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises((http.client.HTTPException, OSError)):
            response.read()
    assert recorded(service) == []
    wait_until(service.responds, "The service did not restart.")
    service.upstream.respond = streams(MESSAGE_EVENTS)
    assert send(service, key, conversation("Hello", TEXT, "And now?"))[0] == 200
    assert {("context", "Hello"), ("context", TEXT), ("prompt", "And now?")} < set(recorded(service))
    assert len([kind for kind, _ in recorded(service) if kind == "ai_response"]) == 1


def test_parallel_calls_of_one_conversation_are_recorded_once(service, key):
    service.upstream.respond = streams(MESSAGE_EVENTS)
    history = ("Hello", TEXT, "And now?", TEXT, "And then?")
    with ThreadPoolExecutor(6) as threads:
        calls = [threads.submit(send, service, key, conversation(*history, marker=str(n))) for n in range(12)]
        assert {call.result()[0] for call in calls} == {200}
    once = {("context", "Hello"), ("context", TEXT), ("context", "And now?"), ("prompt", "And then?")}
    assert Counter(event for event in recorded(service) if event in once) == Counter(once)
    assert service.execute("select count(*) from model_usage where is_recorded") == [(12,)]


def count_tokens(service, key, times):
    """Start several calls at the same time, as Claude Code does."""
    threads, path = ThreadPoolExecutor(times), f"{MESSAGES}/count_tokens"
    calls = [threads.submit(send, service, key, conversation("Hello"), path) for _ in range(times)]
    threads.shutdown(wait=False)
    return calls


def test_twenty_simultaneous_token_counts_succeed(service, key):
    service.upstream.respond = documents(200, {"input_tokens": 14})
    assert [call.result()[0] for call in count_tokens(service, key, 20)] == [200] * 20


def test_token_counts_of_a_hanging_provider_do_not_delay_events(service, key):
    may_end = threading.Event()

    def respond(exchange):
        assert may_end.wait(TIMEOUT_SECONDS)
        documents(200, {"input_tokens": 14})(exchange)

    service.upstream.respond = respond
    calls = count_tokens(service, key, 40)
    wait_until(lambda: sum(call.done() for call in calls) == 18, "The other calls were not rejected.")
    # Two calls run and 20 wait.
    wait_until(lambda: len(service.upstream.requests) == 2, "The running calls did not arrive.")
    client = service.candidate(key)
    events = [lambda: client.post("/v1/hooks/ingest", event()).status] * 6
    assert run_concurrently(events) == [201] * 6
    may_end.set()
    assert sorted(call.result()[0] for call in calls) == [200] * 22 + [529] * 18


def test_a_call_waits_for_a_stream_slot(service, key):
    may_end = threading.Event()

    service.upstream.respond = streams(MESSAGE_EVENTS, rest_after=may_end)
    with ThreadPoolExecutor(17) as threads:
        calls = [threads.submit(send, service, key, conversation("Hello", marker=str(n))) for n in range(17)]
        wait_until(lambda: len(service.upstream.requests) == 15, "The calls did not arrive.")
        threading.Timer(1, may_end.set).start()
        assert [call.result()[0] for call in calls] == [200] * 17


def test_the_server_responds_to_probes(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT_SECONDS) as client:
        client.sendall(b"HEAD /v1/proxy/anthropic HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT_SECONDS) as client:
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        client.sendall(b"GET /v1/proxy/openai/v1/responses HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 426 ")
