"""Hooks and telemetry sent to a real server: chunked, slow, over one connection."""

import http.client
import json
import time
from contextlib import ExitStack, closing

import pytest

from tests.live.cast import make_candidate

LOGS = "/v1/otlp/v1/logs"
MAX_SECONDS = 3


@pytest.fixture
def candidate(service, reviewer, assessment):
    """A candidate who has agreed to the recording, with an open session."""
    return make_candidate(service, reviewer, assessment)


@pytest.fixture
def prompts(reviewer, candidate):
    """Count the session's prompts."""
    return lambda: len(reviewer.get(f"/v1/sessions/{candidate.session_id}/timeline?kind=prompt")["events"])


def logs(*texts):
    """Build a JSON batch with a prompt for each text."""
    records = [
        {
            "timeUnixNano": "1775030400000000000",
            "attributes": [
                {"key": name, "value": {"stringValue": value}}
                for name, value in {"event.name": "user_prompt", "session.id": "s1", "prompt": text}.items()
            ]
            + [{"key": "event.sequence", "value": {"intValue": number}}],
        }
        for number, text in enumerate(texts)
    ]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()


def parts(body, size=60_000, pause=0.0):
    for start in range(0, len(body), size):
        yield body[start : start + size]
        time.sleep(pause)


def send_chunked(connection, candidate, body, path=LOGS, **options):
    """Send a chunked body, like Claude Code, and return the response's status and body."""
    headers = candidate.headers | {"Content-Type": "application/json"}
    connection.request("POST", path, parts(body, **options), headers, encode_chunked=True)
    response = connection.getresponse()
    return response.status, response.read().strip()


@pytest.fixture
def connect(candidate):
    """Open connections, and close them after the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(
            closing(http.client.HTTPConnection("127.0.0.1", candidate.port, timeout=30))
        )


@pytest.mark.parametrize("size", [10, 900_000, 3_000_000])
def test_chunked_bodies_are_read_completely(connect, candidate, prompts, size):
    assert send_chunked(connect(), candidate, logs("x" * size, "Last")) == (200, b"{}")
    assert prompts() == 2


def test_chunked_bodies_have_a_size_limit(connect, candidate, prompts):
    status, body = send_chunked(connect(), candidate, logs("x" * 17_000_000))
    assert (status, json.loads(body)["code"]) == (413, 3)
    assert prompts() == 0


def test_a_connection_is_reused_after_unread_metrics_and_traces(connect, candidate, prompts):
    connection = connect()
    for signal in ("metrics", "traces", "logs"):
        body = logs("x" * 100_000)
        assert send_chunked(connection, candidate, body, f"/v1/otlp/v1/{signal}") == (200, b"{}")
    assert prompts() == 1


def test_slow_bodies_do_not_delay_other_requests(connect, candidate, prompts):
    """Each process parses few large bodies at a time. A chunked body is not large until 1 MiB has arrived."""
    slow = [connect() for _ in range(6)]
    for connection in slow:
        headers = candidate.headers | {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        connection.putrequest("POST", LOGS)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(b"1\r\n{\r\n")
    started = time.monotonic()
    for _ in range(4):
        assert send_chunked(connect(), candidate, logs("Go on"))[0] == 200
    assert time.monotonic() - started < MAX_SECONDS
    assert prompts() == 1


def test_hooks_reuse_a_connection(connect, candidate, prompts):
    connection = connect()
    for number in range(5):
        hook = {
            "hook_event_name": "UserPromptSubmit",
            "session_id": "s",
            "prompt_id": str(number),
            "prompt": "Go on",
        }
        headers = candidate.headers | {"Content-Type": "application/json"}
        connection.request("POST", "/v1/hooks/claude-code", json.dumps(hook), headers)
        response = connection.getresponse()
        assert (response.status, response.read().strip()) == (200, b"{}")
    assert prompts() == 5
