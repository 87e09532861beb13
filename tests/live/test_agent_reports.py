"""Hooks and telemetry as agents send them to a real server: chunked, slow, over one connection."""

import http.client
import json
import time
from contextlib import ExitStack, closing

import pytest

from tests.live.cast import make_keys
from tests.live.client import Client

LOGS = "/v1/otlp/v1/logs"
SLOW_SECONDS = 3


@pytest.fixture
def candidate(service, reviewer, assessment):
    """A candidate who agreed to the current disclosure and has a session."""
    (key,) = make_keys(reviewer, assessment, 1)
    shown = service.anonymous.get(f"/v1/candidate/consent?key={key['key']}")
    consent = {"key": key["key"], "disclosureHash": shown["disclosureHash"]}
    assert service.anonymous.post("/v1/candidate/consent", consent).status == 200
    client = Client(service.port, **{"X-API-Key": key["key"]})
    client.session_id = service.anonymous.post("/v1/candidate/redeem", {"key": key["key"]})["sessionId"]
    return client


@pytest.fixture
def prompts(reviewer, candidate):
    """Return the number of the session's prompts."""
    return lambda: len(reviewer.get(f"/v1/sessions/{candidate.session_id}/timeline?kind=prompt")["events"])


def logs(*texts):
    """A batch with a prompt for each text, as JSON."""
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
    """Send a body without its size, as Claude Code does; return status and body of the response."""
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
def test_a_body_without_its_size_is_read_to_its_end(connect, candidate, prompts, size):
    assert send_chunked(connect(), candidate, logs("x" * size, "Last")) == (200, b"{}")
    assert prompts() == 2


def test_a_body_without_its_size_is_bounded(connect, candidate, prompts):
    status, body = send_chunked(connect(), candidate, logs("x" * 17_000_000))
    assert (status, json.loads(body)["code"]) == (413, 3)
    assert prompts() == 0


def test_one_connection_carries_many_requests(connect, candidate, prompts):
    """Of metrics and traces the body is not read."""
    connection = connect()
    for signal in ("metrics", "traces", "logs"):
        body = logs("x" * 100_000)
        assert send_chunked(connection, candidate, body, f"/v1/otlp/v1/{signal}") == (200, b"{}")
    assert prompts() == 1


def test_a_slow_body_does_not_delay_others(connect, candidate, prompts):
    """Each process parses few large bodies at a time. A body of unknown size is none until 1 MiB of it has come."""
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
    assert time.monotonic() - started < SLOW_SECONDS
    assert prompts() == 1


def test_a_hook_is_answered_over_a_kept_connection(connect, candidate, prompts):
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
