"""`kill -HUP` under load: new processes run the new code, and no request fails (docs/operating.md#upgrade)."""

import http.client
import json
import signal
import time

import pytest

from config import VERSION
from tests.live.cast import Candidate, event, make_assessment, make_keys
from tests.live.client import Client, Load
from tests.live.service import HOST, wait_until
from tests.live.test_upgrade import NextRelease
from tests.proxy.upstream import MESSAGES, START, Upstream

RELOADS = 3
# The time until the new processes have started, on a busy machine.
MAX_PAUSE_SECONDS = 10
STREAM_SECONDS = 3
# Modules that the master has imported, too, and one that only its processes import.
CHANGES = [
    ("config.py", f'VERSION = "{VERSION}"', 'VERSION = "99.0.0"'),
    ("errors.py", '"Not found."', '"New."'),
    ("blueprints/health.py", '"status": "ok"', '"status": "new"'),
]
TOKEN = "a-token-that-nobody-guesses"


class Caller:
    """Sends events over one connection, or each over a new one, and records their durations."""

    def __init__(self, candidate, is_kept_alive):
        self.connection = http.client.HTTPConnection(HOST, candidate.port, timeout=60)
        self.headers = candidate.headers | {"Content-Type": "application/json"}
        if not is_kept_alive:
            self.headers["Connection"] = "close"
        self.seconds, self.failures = [], []

    def send(self):
        started = time.monotonic()
        try:
            self.connection.request("POST", "/v1/hooks/ingest", json.dumps(event()), self.headers)
            response = self.connection.getresponse()
            response.read()
            if response.status != 201:
                self.failures.append(response.status)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
            self.connection.close()
        self.seconds.append(time.monotonic() - started)


def stream(exchange):
    """Stream a response for STREAM_SECONDS."""
    exchange.start_stream()
    for _ in range(10 * STREAM_SECONDS):
        exchange.chunk(START)
        time.sleep(0.1)
    exchange.end_stream()


def reload(service, processes):
    """Send SIGHUP, and wait until all processes are new."""
    before = service.web_processes()

    def are_new():
        current = service.web_processes()
        return len(current) == processes and not set(before) & set(current)

    service.web.send_signal(signal.SIGHUP)
    wait_until(are_new, "The processes were not replaced.")


@pytest.fixture
def upstream():
    with Upstream() as upstream:
        upstream.respond = stream
        yield upstream


@pytest.fixture
def service(postgres_server, upstream, tmp_path):
    """The code in a folder of its own, with metrics and models; not started."""
    service = NextRelease(tmp_path, postgres_server.create_database("proofstone_reload"))
    models = {"ANTHROPIC_BASE_URL": upstream.address, "ANTHROPIC_API_KEY": "sk-ant-ours"}
    service.settings |= {"METRICS_TOKEN": TOKEN, **models}
    yield service
    postgres_server.drop_database("proofstone_reload")


@pytest.mark.parametrize("processes", [1, 2])
def test_no_request_fails(service, processes):
    with service.start(processes):
        reviewer = service.organization("Acme")
        keys = make_keys(reviewer, make_assessment(reviewer), 3)
        streaming, *candidates = [Candidate(service, key) for key in keys]
        callers = [Caller(candidate, kept) for candidate in candidates for kept in (True, False) * 3]
        streams = []
        calls = [caller.send for caller in callers]
        calls.append(lambda: streams.append(streaming.post(MESSAGES, {"stream": True})))
        with Load(calls):
            wait_until(lambda: streams, "No stream ended.")
            for _ in range(RELOADS):
                reload(service, processes)
        for caller in callers:
            caller.connection.close()
        assert "Traceback" not in service.log()
    assert [caller.failures for caller in callers if caller.failures] == []
    length = 10 * STREAM_SECONDS * len(START)
    assert {(response.status, len(response.text)) for response in streams} == {(200, length)}
    assert max(max(caller.seconds) for caller in callers) < MAX_PAUSE_SECONDS


def test_new_processes_run_the_new_code(service):
    versions = "SELECT version FROM heartbeats ORDER BY beat_at DESC LIMIT 2"
    with service.start(processes=2):
        metrics = Client(service.port, Authorization=f"Bearer {TOKEN}")
        assert service.anonymous.get("/v1/nowhere").status == 404
        for file, old, new in CHANGES:
            path = service.code / file
            path.write_text(path.read_text().replace(old, new))
        reload(service, processes=2)
        assert service.anonymous.get("/v1/health").json == {"status": "new"}
        assert service.anonymous.get("/v1/nowhere")["error"] == "New."
        wait_until(lambda: service.execute(versions) == [("99.0.0",)] * 2, "The version is old.")
        # Includes requests to the previous processes.
        wait_until(lambda: b'status="404"} 2.0' in metrics.get("/metrics").text, "A request is missing.")
