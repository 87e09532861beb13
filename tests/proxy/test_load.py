"""A hundred streams at once, in exactly as many places as there are, and events beside them (docs/proxies.md)."""

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.cast import begin, event, make_assessment, make_keys
from tests.live.service import Service
from tests.proxy.upstream import MESSAGE_EVENTS, START, Upstream, text_delta

PROCESSES = 2
STREAMS = 50
CALLS = PROCESSES * STREAMS
PIECES = 60
PIECES_A_SECOND = 10
EVENTS = 400
SENDERS = 8
INGEST_SECONDS = 3
DELAY_SECONDS = 1


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def service(upstream, postgres_server, tmp_path_factory):
    settings = {
        "ANTHROPIC_BASE_URL": upstream.address, "ANTHROPIC_API_KEY": "sk-ant-ours",
        "WEB_THREADS": str(STREAMS + SENDERS), "PROXY_STREAMS": str(STREAMS),
        # Far fewer than streams: none of them holds one.
        "DATABASE_POOL": str(SENDERS + 2),
    }  # fmt: skip
    url = postgres_server.create_database("proofstone_proxy_load")
    with Service(tmp_path_factory.mktemp("load"), url, **settings).start(PROCESSES) as service:
        yield service


class Speaker:
    """The upstream's part: pieces at a steady pace as soon as all calls are there; notes when it sent each."""

    def __init__(self):
        self.all_are_there = threading.Barrier(CALLS + 1)
        self.pieces = [
            START,
            *[text_delta(f"word {number}") for number in range(PIECES)],
            *MESSAGE_EVENTS[-2:],
        ]
        self.sent_at = {}

    def __call__(self, exchange):
        sent_at = self.sent_at[exchange.headers["X-Call"]] = []
        exchange.begin_stream()
        self.all_are_there.wait(60)
        pause = threading.Event()
        for piece in self.pieces:
            sent_at.append(time.monotonic())
            exchange.piece(piece)
            pause.wait(1 / PIECES_A_SECOND)
        exchange.end_stream()


def listen(port, key, number, pieces):
    """Call until there is a place, as the tools do; (bytes, when each piece had come)."""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(
            "POST", "/v1/proxy/anthropic/v1/messages", b"{}", {"X-API-Key": key, "X-Call": str(number)}
        )
        answer = connection.getresponse()
        if answer.status == 200:
            break
        assert answer.status == 529
        connection.close()
    came = [(answer.read(len(piece)), time.monotonic()) for piece in pieces]
    assert answer.read() == b""
    connection.close()
    return b"".join(data for data, _ in came), [moment for _, moment in came]


def send_event(client):
    before = time.monotonic()
    assert client.post("/v1/hooks/ingest", event()).status == 201
    return time.monotonic() - before


def seconds(values):
    ordered = sorted(values)
    at = [ordered[len(ordered) * part // 100] for part in (50, 99)]
    return "median {:.3f} s, 99 % {:.3f} s, most {:.3f} s".format(*at, ordered[-1])


@pytest.mark.slow
def test_a_hundred_streams_come_whole_and_undelayed_while_events_are_stored_quickly(
    service, upstream, capsys
):
    reviewer = service.organization("Acme")
    keys = [key["key"] for key in make_keys(reviewer, make_assessment(reviewer), CALLS)]
    for key in keys:
        begin(service, key)
    upstream.behave = speaker = Speaker()

    with ThreadPoolExecutor(CALLS + SENDERS) as threads:
        calls = [threads.submit(listen, service.port, key, i, speaker.pieces) for i, key in enumerate(keys)]
        clients = [service.candidate(keys[number % CALLS]) for number in range(EVENTS)]
        speaker.all_are_there.wait(60)
        ingests = [threads.submit(send_event, client) for client in clients]
        took = [ingest.result() for ingest in ingests]
        heard = [call.result() for call in calls]

    assert [data for data, _ in heard] == [b"".join(speaker.pieces)] * CALLS
    delays = [
        came - sent
        for number, (_, moments) in enumerate(heard)
        for came, sent in zip(moments, speaker.sent_at[str(number)], strict=True)
    ]
    first = [moments[0] - speaker.sent_at[str(number)][0] for number, (_, moments) in enumerate(heard)]
    with capsys.disabled():
        print(f"\nfirst piece: {seconds(first)}\npieces: {seconds(delays)}\nevents: {seconds(took)}")
    assert max(took) < INGEST_SECONDS
    assert sorted(delays)[len(delays) * 99 // 100] < DELAY_SECONDS
    assert service.execute("select count(*) from model_usage where is_whole") == [(CALLS,)]
