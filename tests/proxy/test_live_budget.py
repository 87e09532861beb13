"""The budget in a running service: processes share it, and waiting for it uses no database connection (R42)."""

import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.cast import ASSESSMENT, event, make_keys, start_session
from tests.live.service import Service, wait_until
from tests.proxy.upstream import (
    MESSAGE,
    MESSAGE_NANO_USD,
    MESSAGES,
    START,
    TIMEOUT_SECONDS,
    Upstream,
    documents,
)

BODY = b'{"model": "claude-haiku-4-5", "stream": true}'


@pytest.fixture
def service(postgres_server, tmp_path):
    """Two processes with one database connection each."""
    with Upstream() as upstream:
        settings = {
            "ANTHROPIC_BASE_URL": upstream.address, "ANTHROPIC_API_KEY": "sk-ant-ours",
            "WEB_THREADS": "16", "PROXY_STREAMS": "4", "PROXY_STREAMS_PER_KEY": "4", "DATABASE_POOL": "1",
        }  # fmt: skip
        url = postgres_server.create_database("proofstone_proxy_budget")
        with Service(tmp_path, url, **settings).start(processes=2) as service:
            service.upstream = upstream
            yield service


@pytest.fixture
def key(service):
    """The key of an open session with a budget of one cent."""
    reviewer = service.organization("Acme")
    assessment = reviewer.post("/v1/assessments", ASSESSMENT | {"tokenBudgetUsd": 0.01})["assessment"]
    key = make_keys(reviewer, assessment, 1)[0]["key"]
    start_session(service, key)
    return key


def request(service, key):
    """Status and error code of a call that is read to its end."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=TIMEOUT_SECONDS)
    connection.request("POST", MESSAGES, BODY, {"X-API-Key": key})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, None if response.status == 200 else json.loads(body)["error"]["code"]


def test_parallel_calls_of_all_processes_wait_for_the_budget(service, key):
    running, highest, lock = set(), [], threading.Lock()
    may_end = threading.Event()

    def respond(exchange):
        with lock:
            running.add(exchange)
            highest.append(len(running))
        exchange.start_stream()
        exchange.chunk(START)
        assert may_end.wait(TIMEOUT_SECONDS)
        with lock:
            running.discard(exchange)
        exchange.end_stream()

    service.upstream.respond = respond
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(request, service, key) for _ in range(4)]
        wait_until(lambda: running, "No call arrived.")
        # The calls that wait leave the processes' only connections to others.
        client = service.candidate(key)
        assert [client.post("/v1/hooks/ingest", event()).status for _ in range(8)] == [201] * 8
        assert service.execute("select count(*) from model_reservations") == [(1,)]
        may_end.set()
        assert [call.result() for call in calls] == [(200, None)] * 4
    assert highest == [1] * 4
    assert service.execute("select count(*), sum(nano_usd) from model_reservations") == [(0, None)]


def test_a_call_is_rejected_after_waiting_ten_seconds(service, key):
    def respond(exchange):
        exchange.start_stream()
        exchange.chunk(START)
        exchange.wait_for_disconnect()

    service.upstream.respond = respond
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=TIMEOUT_SECONDS)
    connection.request("POST", MESSAGES, BODY, {"X-API-Key": key})
    assert connection.getresponse().read(len(START)) == START
    assert request(service, key) == (529, "too_many_streams")
    connection.close()


@pytest.mark.parametrize(
    ("has_response", "stored"),
    [
        # 45 bytes are 15 tokens, at $1 a million.
        (False, ("claude-haiku-4-5", 499, 15, None, 15_000)),
        (True, ("claude-haiku-4-5-20251001", 200, 1000, 200, MESSAGE_NANO_USD)),
    ],
)
def test_a_client_that_disconnects_before_the_response_pays_for_the_call(service, key, has_response, stored):
    received, has_left = threading.Event(), threading.Event()

    def respond(exchange):
        received.set()
        assert has_left.wait(TIMEOUT_SECONDS)
        if has_response:
            time.sleep(0.2)  # until the service has noticed
            documents(200, MESSAGE)(exchange)
        else:
            exchange.wait_for_disconnect()

    service.upstream.respond = respond
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        head = (
            f"POST {MESSAGES} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        client.sendall(head.encode() + BODY)
        assert received.wait(TIMEOUT_SECONDS)
    has_left.set()
    columns = "model, status_code, input_tokens, output_tokens, cost_nano_usd"
    statement = f"select {columns} from model_usage"
    wait_until(lambda: service.execute(statement) == [stored], "The call is not stored.")
    assert service.execute("select count(*) from model_reservations") == [(0,)]
