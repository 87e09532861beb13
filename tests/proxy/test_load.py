"""A hundred concurrent streams with the default settings while events are stored (docs/proxies.md)."""

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.cast import event, make_assessment, make_keys, start_session
from tests.proxy.live_calls import proxy_service
from tests.proxy.upstream import MESSAGE_EVENTS, MESSAGES, START, text_delta

CALLS = 100
CHUNKS = [START, *[text_delta(f"word {number}") for number in range(60)], *MESSAGE_EVENTS[-2:]]
CHUNK_INTERVAL_SECONDS = 0.1
EVENTS, SENDERS = 400, 8
MAX_INGEST_SECONDS = 3
MAX_DELAY_SECONDS = 2


class Provider:
    """Sends CHUNKS at a steady pace once all calls have arrived, and records when it sent them."""

    def __init__(self):
        self.all_have_arrived = threading.Barrier(CALLS + 1)
        self.sent_at = {}

    def __call__(self, exchange):
        sent_at = self.sent_at[int(exchange.headers["X-Client-Request-Id"])] = []
        exchange.start_stream()
        self.all_have_arrived.wait(60)
        for chunk in CHUNKS:
            sent_at.append(time.monotonic())
            exchange.chunk(chunk)
            time.sleep(CHUNK_INTERVAL_SECONDS)
        exchange.end_stream()


@pytest.fixture
def service(postgres_server, tmp_path):
    url = postgres_server.create_database("proofstone_proxy_load")
    with proxy_service(tmp_path, url) as service:
        service.provider = service.upstream.respond = Provider()
        yield service


def read_stream(port, key, number):
    """Return the body and the chunks' arrival times."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", MESSAGES, b"{}", {"X-API-Key": key, "X-Client-Request-Id": str(number)})
    response = connection.getresponse()
    assert response.status == 200
    chunks = [(response.read(len(chunk)), time.monotonic()) for chunk in CHUNKS]
    assert response.read() == b""
    connection.close()
    return b"".join(data for data, _ in chunks), [arrived for _, arrived in chunks]


def send_event(client):
    """Send an event and return the duration in seconds."""
    started = time.monotonic()
    assert client.post("/v1/hooks/ingest", event()).status == 201
    return time.monotonic() - started


def percentile(values, percent):
    return sorted(values)[len(values) * percent // 100]


def test_a_hundred_streams_are_not_delayed_while_events_are_stored(service, capsys):
    reviewer = service.organization("Acme")
    keys = [key["key"] for key in make_keys(reviewer, make_assessment(reviewer), CALLS)]
    for key in keys:
        start_session(service, key)

    with ThreadPoolExecutor(CALLS + SENDERS) as threads:
        calls = [threads.submit(read_stream, service.port, key, number) for number, key in enumerate(keys)]
        clients = [service.candidate(keys[number % CALLS]) for number in range(EVENTS)]
        service.provider.all_have_arrived.wait(60)
        ingests = [threads.submit(send_event, client) for client in clients]
        ingest_seconds = [ingest.result() for ingest in ingests]
        streams = [call.result() for call in calls]

    assert [body for body, _ in streams] == [b"".join(CHUNKS)] * CALLS
    delays = [
        arrived - sent
        for number, (_, arrivals) in enumerate(streams)
        for arrived, sent in zip(arrivals, service.provider.sent_at[number], strict=True)
    ]
    measured = {"first chunks": delays[:: len(CHUNKS)], "chunks": delays, "events": ingest_seconds}
    with capsys.disabled():
        for name, values in measured.items():
            median, high = percentile(values, 50), percentile(values, 99)
            print(f"\n{name}: median {median:.3f} s, 99 % {high:.3f} s, max {max(values):.3f} s")
    assert max(ingest_seconds) < MAX_INGEST_SECONDS
    assert percentile(delays, 99) < MAX_DELAY_SECONDS
    assert service.execute("select count(*) from model_usage where is_whole") == [(CALLS,)]
