"""Coding agents' telemetry over HTTP, in JSON (R36 to R39)."""

import gzip
import json
import zlib

import factories
import peewee
import pytest
from response_checks import export_events

from models import sessions
from models.sessions import recording
from rules.events.recorded_events import RecordedEvent
from web import otlp

LOGS = "/v1/otlp/v1/logs"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
RESOURCE = {"attributes": [{"key": "service.version", "value": {"stringValue": "2.1.197"}}]}


def attribute(key, value):
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue", bool: "boolValue"}
    return {"key": key, "value": {kinds[type(value)]: value}}


def record(name, sequence=0, **attributes):
    common = {"event.name": name, "event.timestamp": "2026-04-01T08:00:00.000Z", "session.id": "s1"}
    fields = common | {"event.sequence": sequence} | attributes
    return {"attributes": [attribute(key, value) for key, value in fields.items()]}


def batch(*records):
    return {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": list(records)}]}]}


PROMPT = record("user_prompt", prompt="Fix the cart")
USAGE = record("api_request", 1, input_tokens=12, cost_usd=0.5, request_id="req_1", model="claude-opus-4-8")


def post(caller, body, content_type=JSON, path=LOGS, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body)
    return caller.request("POST", path, data=data, content_type=content_type, headers=headers)


def assert_accepted(response):
    assert (response.status_code, response.mimetype, response.json) == (200, JSON, {}), response.text


def status_of(response):
    """Return the HTTP status and the code of google.rpc.Status."""
    assert response.json.keys() == {"code", "message"}
    assert response.json["message"]
    return response.status_code, response.json["code"]


@pytest.fixture
def session(key):
    return factories.make_recorded_session(key)


@pytest.fixture
def recorded(reviewer, session):
    return lambda: export_events(reviewer, session)


def test_records_are_stored_as_events(candidate, session, recorded):
    assert_accepted(post(candidate, batch(PROMPT, USAGE)))
    prompt, response = recorded()
    assert (prompt["kind"], prompt["data"]["text"]) == ("prompt", "Fix the cart")
    assert prompt["source"] == {"channel": "otlp", "tool": "claude-code", "version": "2.1.197"}
    assert (response["data"]["inputTokens"], response["data"]["totalCost"]) == (12, 0.5)


def test_integers_and_times_can_be_strings(candidate, session, recorded):
    usage = record("api_request", request_id="r", **{"event.timestamp": ""})
    usage["attributes"] += [{"key": "input_tokens", "value": {"intValue": "12"}}]
    usage["attributes"] += [{"key": "output_tokens", "value": {"intValue": 9007199254740993}}]
    usage["observedTimeUnixNano"] = "1775030400000000000"
    assert_accepted(post(candidate, batch(usage)))
    data = recorded()[0]["data"]
    assert (data["inputTokens"], data["outputTokens"]) == (12, 9007199254740993)
    assert data["originalTs"] == "2026-04-01T08:00:00.000Z"


@pytest.mark.parametrize("content_encoding", ["gzip", "GZIP", "identity"])
def test_gzip_is_accepted(candidate, session, recorded, content_encoding):
    data = json.dumps(batch(PROMPT)).encode()
    data = data if content_encoding == "identity" else gzip.compress(data)
    assert_accepted(post(candidate, data, **{"Content-Encoding": content_encoding}))
    assert len(recorded()) == 1


@pytest.mark.parametrize("signal", ["metrics", "traces"])
def test_metrics_and_traces_are_ignored(candidate, session, recorded, signal):
    assert_accepted(post(candidate, b"not read", path=f"/v1/otlp/v1/{signal}"))
    assert recorded() == []


def test_batch_is_limited_to_2048_records(candidate, session, recorded):
    records = [{}] * (otlp.MAX_RECORDS - 1) + [PROMPT] + [USAGE] * 7
    response = post(candidate, batch(*records))
    partial = response.json["partialSuccess"]
    assert (response.status_code, partial["rejectedLogRecords"]) == (200, "7")
    assert partial["errorMessage"]
    assert [event["kind"] for event in recorded()] == ["prompt"]


VALUES = [None, True, 0, -1, 1.5, "", "x", [], [[]], {}, {"a": 1}, [None], [{"logRecords": 1}]]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_malformed_values_are_ignored(candidate, session, recorded, value):
    scopes = [value, {"logRecords": value}, {"logRecords": [PROMPT]}]
    name = {"key": "event.name", "value": {"stringValue": value}}
    numbers = [{"key": "a", "value": {kind: value}} for kind in ("intValue", "doubleValue")]
    for body in (
        {"resourceLogs": value},
        {"resourceLogs": [value, {"resource": value, "scopeLogs": scopes}]},
        batch({"attributes": value}, {"attributes": [value, {"key": value, "value": value}]}),
        batch({"timeUnixNano": value, "attributes": [name]}, {"attributes": numbers}),
    ):
        assert post(candidate, body).status_code == 200
    assert [event["kind"] for event in recorded()] == ["prompt"]


@pytest.mark.parametrize("signal", ["logs", "metrics", "traces"])
def test_protobuf_error_says_how_to_send_json(candidate, session, recorded, signal):
    response = post(candidate, b"\x0a\x00", PROTOBUF, f"/v1/otlp/v1/{signal}")
    assert status_of(response) == (415, 3)
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/json" in response.json["message"]
    assert recorded() == []


def test_invalid_record_is_rejected(candidate, session, recorded):
    response = post(candidate, batch(1, PROMPT, None))
    assert response.json["partialSuccess"]["rejectedLogRecords"] == "2"
    assert len(recorded()) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", JSON, (400, 3)),
        (b"{", JSON, (400, 3)),
        (b"[]", JSON, (400, 3)),
        (b"\xff\xfe", JSON, (400, 3)),
        (b"[" * 100_000, JSON, (400, 3)),
        (b'{"a": ' + b"9" * 5000 + b"}", JSON, (400, 3)),
        (b"[" + b"1," * 200_000 + b"1]", JSON, (400, 3)),
        (b"{}", "text/plain", (415, 3)),
        (b"{}", "application/grpc", (415, 3)),
        (b'{"x": "' + b"y" * 2**24 + b'"}', JSON, (413, 3)),
    ],
    ids=range(10),
)
def test_invalid_body_returns_an_otlp_error(candidate, session, body, content_type, expected):
    assert status_of(post(candidate, body, content_type)) == expected


def _gzipped_zeros(count):
    """Compress in steps: each test process builds this, at the same time."""
    compressor, chunk = zlib.compressobj(1, wbits=31), bytes(2**20)
    return b"".join(compressor.compress(chunk) for _ in range(count // len(chunk))) + compressor.flush()


@pytest.mark.parametrize(
    ("body", "content_encoding", "expected"),
    [
        (gzip.compress(b" " * (2**24 + 1)), "gzip", (413, 3)),
        (_gzipped_zeros(2**29), "gzip", (413, 3)),
        (gzip.compress(b"{}")[:-1], "gzip", (400, 3)),
        (gzip.compress(b"{}") * 2, "gzip", (400, 3)),
        (b"{}", "gzip", (400, 3)),
        (b"", "gzip", (400, 3)),
        (zlib.compress(b"{}"), "deflate", (415, 3)),
        (b"{}", "br", (415, 3)),
    ],
    ids=range(8),
)
def test_invalid_compressed_body_is_rejected(candidate, session, body, content_encoding, expected):
    assert status_of(post(candidate, body, **{"Content-Encoding": content_encoding})) == expected


def test_exporters_retry_while_the_database_is_unavailable(candidate, session, monkeypatch):
    def fail(*args, **options):
        raise peewee.InterfaceError("connection already closed")

    monkeypatch.setattr(sessions, "record", fail)
    response = post(candidate, batch(PROMPT))
    assert status_of(response) == (503, 14)
    assert int(response.headers["Retry-After"]) > 0


def complete_and_get(reviewer, session):
    sessions.complete(session)
    return reviewer.get(f"/v1/sessions/{session.id}").json


def test_codex_response_reported_by_proxy_and_telemetry_counts_once(candidate, reviewer, session):
    """Codex's telemetry does not report the request id, and includes cached tokens in the input."""
    response = {"model": "gpt-5.5", "requestId": "r1", "lastAssistantMessage": "Done"}
    usage = {"usageScope": "request", "inputTokens": 400, "outputTokens": 42}
    usage |= {"cacheReadTokens": 6500, "cacheWriteTokens": 100}
    event = RecordedEvent("ai_response", response | usage, "r1")
    factories.record(session, "proxy", event, agent_session="c1", tool="codex")
    tokens = {"input_token_count": "7000", "output_token_count": "42"}
    tokens |= {"cached_token_count": "6500", "cache_write_token_count": "100"}
    common = {"conversation.id": "c1", "model": "gpt-5.5", "event.kind": "response.completed"}
    assert_accepted(post(candidate, batch(record("codex.sse_event", **common, **tokens))))
    body = complete_and_get(reviewer, session)
    assert (body["eventCount"], body["duplicateEventCount"]) == (1, 1)
    tokens = {"input": 400, "output": 42, "cacheRead": 6500, "cacheWrite": 100}
    assert body["metrics"]["tokens"] == {"gpt-5.5": tokens}


def test_claude_code_response_reported_by_hook_and_telemetry_counts_once(candidate, reviewer, session):
    """The hook reports the text; telemetry reports the usage."""
    text = {"response": "Fixed.", "request_id": "req_1", "model": "claude-opus-4-8"}
    hook = {"hook_event_name": "Stop", "session_id": "s1", "last_assistant_message": "Fixed."}
    assert candidate.post("/v1/hooks/claude-code", hook).status_code == 200
    assert_accepted(post(candidate, batch(USAGE, record("assistant_response", 2, **text))))
    body = complete_and_get(reviewer, session)
    assert (body["eventCount"], body["duplicateEventCount"]) == (2, 1)
    metrics = body["metrics"]
    assert (metrics["tokens"]["claude-opus-4-8"]["input"], metrics["totalCostUsd"]) == (12, 0.5)


def test_a_batch_is_stored_in_one_transaction(candidate, session, recorded, monkeypatch):
    transactions, append = [], recording.append

    def record_call(*arguments, **options):
        transactions.append(arguments)
        return append(*arguments, **options)

    monkeypatch.setattr(recording, "append", record_call)
    body = batch(*(record("user_prompt", prompt="x", **{"session.id": f"agent-{n}"}) for n in range(50)))
    assert_accepted(post(candidate, body))
    assert len(recorded()) == 50
    assert len(transactions) == 1
