"""The budget in a running service, whose processes share it (R42)."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.cast import ASSESSMENT, event, make_keys, start_session
from tests.live.service import wait_until
from tests.proxy.live_calls import calling, proxy_service, raw_request
from tests.proxy.upstream import (
    MESSAGE,
    MESSAGE_NANO_USD,
    START,
    TIMEOUT_SECONDS,
    documents,
    stay_open,
)

BODY = b'{"model": "claude-haiku-4-5", "stream": true}'


@pytest.fixture
def service(postgres_server, tmp_path):
    """Two processes, each with a single database connection."""
    settings = {"WEB_THREADS": "16", "PROXY_STREAMS": "4", "PROXY_STREAMS_PER_KEY": "4", "DATABASE_POOL": "1"}
    url = postgres_server.create_database("proofstone_proxy_budget")
    with proxy_service(tmp_path, url, processes=2, **settings) as service:
        yield service


@pytest.fixture
def key(service):
    """An open session's key, with a budget of one cent."""
    reviewer = service.organization("Acme")
    assessment = reviewer.post("/v1/assessments", ASSESSMENT | {"tokenBudgetUsd": 0.01})["assessment"]
    key = make_keys(reviewer, assessment, 1)[0]["key"]
    start_session(service, key)
    return key


def send(service, key):
    """Make a call, and return its status and error code."""
    with calling(service, key, body=BODY) as response:
        body = response.read()
        return response.status, None if response.status == 200 else json.loads(body)["error"]["code"]


def test_parallel_calls_of_all_processes_wait_for_the_budget(service, key):
    running, concurrent_calls, lock = set(), [], threading.Lock()
    may_end = threading.Event()

    def respond(exchange):
        with lock:
            running.add(exchange)
            concurrent_calls.append(len(running))
        exchange.start_stream()
        exchange.chunk(START)
        assert may_end.wait(TIMEOUT_SECONDS)
        with lock:
            running.discard(exchange)
        exchange.end_stream()

    service.upstream.respond = respond
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(send, service, key) for _ in range(4)]
        wait_until(lambda: running, "No call arrived.")
        # Waiting calls do not occupy the processes' only database connections.
        client = service.candidate(key)
        assert [client.post("/v1/hooks/ingest", event()).status for _ in range(8)] == [201] * 8
        assert service.execute("select count(*) from model_reservations") == [(1,)]
        may_end.set()
        assert [call.result() for call in calls] == [(200, None)] * 4
    assert concurrent_calls == [1] * 4
    assert service.execute("select count(*), sum(nano_usd) from model_reservations") == [(0, None)]


def test_a_call_is_rejected_after_waiting_ten_seconds(service, key):
    service.upstream.respond = stay_open
    with calling(service, key, body=BODY) as response:
        assert response.read(len(START)) == START
        assert send(service, key) == (529, "too_many_streams")


@pytest.mark.parametrize(
    ("has_response", "stored"),
    [
        # 45 bytes are 15 tokens, at $1 a million.
        (False, ("claude-haiku-4-5", 499, 15, None, 15_000)),
        (True, ("claude-haiku-4-5-20251001", 200, 1000, 200, MESSAGE_NANO_USD)),
    ],
)
def test_a_disconnect_before_the_response_costs_the_call(service, key, has_response, stored):
    received, has_left = threading.Event(), threading.Event()

    def respond(exchange):
        received.set()
        assert has_left.wait(TIMEOUT_SECONDS)
        if has_response:
            time.sleep(0.2)  # until the service has detected the disconnect
            documents(200, MESSAGE)(exchange)
        else:
            exchange.wait_for_disconnect()

    service.upstream.respond = respond
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(raw_request(key, BODY))
        assert received.wait(TIMEOUT_SECONDS)
    has_left.set()
    columns = "model, status_code, input_tokens, output_tokens, cost_nano_usd"
    statement = f"select {columns} from model_usage"
    wait_until(lambda: service.execute(statement) == [stored], "The call was not stored.")
    assert service.execute("select count(*) from model_reservations") == [(0,)]
