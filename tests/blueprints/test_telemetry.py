"""Telemetry of coding agents over HTTP, in JSON and in protobuf (R36 to R39)."""

import gzip
import json
import zlib

import factories
import peewee
import pytest
from callers import Caller
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from response_checks import exported

from models import sessions
from models.sessions import recording
from rules.events.recorded_events import RecordedEvent, Witness
from rules.session_close import STORED_AFTER_CLOSE
from web import otlp

pytestmark = pytest.mark.any_database

LOGS = "/v1/otlp/v1/logs"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
ENCODINGS = pytest.mark.parametrize("encoding", [JSON, PROTOBUF])
RESOURCE = {"attributes": [{"key": "service.version", "value": {"stringValue": "2.1.197"}}]}


def attribute(key, value):
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue", bool: "boolValue"}
    return {"key": key, "value": {kinds[type(value)]: value}}


def record(name, sequence=0, **attributes):
    common = {"event.name": name, "event.timestamp": "2026-04-01T08:00:00.000Z", "session.id": "s1"}
    members = common | {"event.sequence": sequence} | attributes
    return {"attributes": [attribute(key, value) for key, value in members.items()]}


def batch(*records):
    return {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": list(records)}]}]}


PROMPT = record("user_prompt", prompt="Fix the cart")
USAGE = record("api_request", 1, input_tokens=12, cost_usd=0.5, request_id="req_1", model="claude-opus-4-8")


def encoded(body, encoding):
    if encoding == JSON:
        return json.dumps(body).encode()
    return json_format.ParseDict(body, ExportLogsServiceRequest()).SerializeToString()


def post(caller, data, encoding=JSON, path=LOGS, **headers):
    return caller.request("POST", path, data=data, content_type=encoding, headers=headers)


def accepted(response):
    """An answer without `partialSuccess`, in the encoding of the request."""
    assert (response.status_code, response.data) == (200, b"{}" if response.mimetype == JSON else b""), (
        response.text
    )


def refused(response):
    """HTTP status and code of google.rpc.Status, read without the service's code."""
    if response.mimetype == JSON:
        assert response.json.keys() == {"code", "message"}
        assert response.json["message"]
        return response.status_code, response.json["code"]
    # google.rpc.Status: the integer `code` is field 1, the string `message` field 2.
    assert (response.mimetype, response.data[0], response.data[2]) == (PROTOBUF, 0x08, 0x12)
    length = response.data[3] & 127 | (response.data[4] << 7 if response.data[3] > 127 else 0)
    assert len(response.data[5 if response.data[3] > 127 else 4 :]) == length
    return response.status_code, response.data[1]


@pytest.fixture
def session(key):
    return factories.make_recorded_session(key)


@pytest.fixture
def recorded(reviewer, session):
    return lambda: exported(reviewer, session)


@ENCODINGS
def test_records_are_stored_as_events_of_the_channel(candidate, session, recorded, encoding):
    accepted(post(candidate, encoded(batch(PROMPT, USAGE), encoding), encoding))
    prompt, response = recorded()
    assert (prompt["kind"], prompt["data"]["text"]) == ("prompt", "Fix the cart")
    assert prompt["source"] == {"channel": "otlp", "tool": "claude-code", "version": "2.1.197"}
    assert (response["data"]["inputTokens"], response["data"]["totalCost"]) == (12, 0.5)


def test_both_encodings_are_the_same_events(candidate, session, recorded):
    for encoding in (JSON, PROTOBUF):
        accepted(post(candidate, encoded(batch(PROMPT, USAGE), encoding), encoding))
    assert len(recorded()) == 2


def test_integers_may_be_numbers_or_strings_and_times_too(candidate, session, recorded):
    usage = record("api_request", request_id="r", **{"event.timestamp": ""})
    usage["attributes"] += [{"key": "input_tokens", "value": {"intValue": "12"}}]
    usage["attributes"] += [{"key": "output_tokens", "value": {"intValue": 9007199254740993}}]
    usage["observedTimeUnixNano"] = "1775030400000000000"
    accepted(post(candidate, json.dumps(batch(usage))))
    data = recorded()[0]["data"]
    assert (data["inputTokens"], data["outputTokens"]) == (12, 9007199254740993)
    assert data["originalTs"] == "2026-04-01T08:00:00.000Z"


@ENCODINGS
@pytest.mark.parametrize("content_encoding", ["gzip", "GZIP", "identity"])
def test_gzip_is_accepted(candidate, session, recorded, encoding, content_encoding):
    data = encoded(batch(PROMPT), encoding)
    data = data if content_encoding == "identity" else gzip.compress(data)
    accepted(post(candidate, data, encoding, **{"Content-Encoding": content_encoding}))
    assert len(recorded()) == 1


@ENCODINGS
def test_a_repeated_batch_stores_nothing(candidate, clock, session, recorded, encoding):
    for _ in range(3):
        accepted(post(candidate, encoded(batch(PROMPT, USAGE), encoding), encoding))
        clock.fixed += STORED_AFTER_CLOSE / 100
    assert len(recorded()) == 2


@ENCODINGS
@pytest.mark.parametrize("signal", ["metrics", "traces"])
def test_metrics_and_traces_are_answered_and_ignored(candidate, session, recorded, encoding, signal):
    accepted(post(candidate, b"not read", encoding, f"/v1/otlp/v1/{signal}"))
    assert recorded() == []


@ENCODINGS
def test_records_after_the_first_2048_are_refused(candidate, session, recorded, encoding):
    records = [{}] * (otlp.MAX_RECORDS - 1) + [PROMPT] + [USAGE] * 7
    response = post(candidate, encoded(batch(*records), encoding), encoding)
    if encoding == JSON:
        partial = response.json["partialSuccess"]
        count, reason = int(partial["rejectedLogRecords"]), partial["errorMessage"]
    else:
        message = ExportLogsServiceResponse.FromString(response.data).partial_success
        count, reason = message.rejected_log_records, message.error_message
    assert (response.status_code, count, bool(reason)) == (200, 7, True)
    assert [event["kind"] for event in recorded()] == ["prompt"]


@ENCODINGS
def test_a_hundred_thousand_records_are_cut(candidate, session, encoding):
    response = post(candidate, encoded(batch(*[{}] * 100_000), encoding), encoding)
    assert response.status_code == 200
    if encoding == JSON:
        assert response.json["partialSuccess"]["rejectedLogRecords"] == "97952"


VALUES = [None, True, 0, -1, 1.5, "", "x", [], [[]], {}, {"a": 1}, [None], [{"logRecords": 1}]]


@pytest.mark.any_database
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_wrong_types_anywhere_are_left_out(candidate, session, recorded, value):
    scope, one = {"logRecords": [PROMPT]}, {"attributes": []}
    wrong = [
        {"resourceLogs": value},
        {"resourceLogs": [value, {"resource": value, "scopeLogs": [value, {"logRecords": value}, scope]}]},
        batch(one | {"attributes": value}, one | {"attributes": [value, {"key": value, "value": value}]}),
        batch(
            one
            | {"timeUnixNano": value, "attributes": [{"key": "event.name", "value": {"stringValue": value}}]}
        ),
        batch(
            one
            | {"attributes": [{"key": "a", "value": {kind: value}} for kind in ("intValue", "doubleValue")]}
        ),
    ]
    for body in wrong:
        assert post(candidate, json.dumps(body)).status_code == 200
    assert [event["kind"] for event in recorded()] == ["prompt"]


def test_what_is_not_a_record_is_counted_as_refused(candidate, session, recorded):
    response = post(candidate, json.dumps(batch(1, PROMPT, None)))
    assert response.json["partialSuccess"]["rejectedLogRecords"] == "2"
    assert len(recorded()) == 1


def varint(value):
    return (bytes([value & 127 | 128]) + varint(value >> 7)) if value > 127 else bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def in_record(content):
    """A record with this content, in the messages around it."""
    return field(1, field(2, field(2, content)))


MANY = otlp.MAX_VALUES + 1
BOMBS = {
    "resources": b"\x0a\x00" * MANY,
    "records": field(1, field(2, b"\x12\x00" * MANY)),
    "attributes": in_record(b"\x32\x00" * MANY),
    "array": in_record(field(6, field(2, field(5, b"\x0a\x00" * MANY)))),
    "before an error": in_record(b"\x32\x00" * MANY) + b"\xff",
}


@pytest.mark.any_database
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_small_messages_that_take_much_memory_are_refused(candidate, session, bomb):
    """Two bytes would be more than a hundred when decoded."""
    assert refused(post(candidate, bomb, PROTOBUF)) == (400, 3)


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        (b"", JSON, (400, 3)),
        (b"{", JSON, (400, 3)),
        (b"[]", JSON, (400, 3)),
        (b"\xff\xfe", JSON, (400, 3)),
        (b"[" * 100_000, JSON, (400, 3)),
        (b'{"a": ' + b"9" * 5000 + b"}", JSON, (400, 3)),
        (b"[" + b"1," * 200_000 + b"1]", JSON, (400, 3)),
        (b"\xff", PROTOBUF, (400, 3)),
        (b"\x0a\x7f", PROTOBUF, (400, 3)),
        (b"\x0a" + b"\xff" * 11, PROTOBUF, (400, 3)),
        (b"{}", "text/plain", (415, 3)),
        (b"{}", "application/grpc", (415, 3)),
        (b'{"x": "' + b"y" * 2**24 + b'"}', JSON, (413, 3)),
        (field(9, b"x" * 2**24), PROTOBUF, (413, 3)),
    ],
    ids=range(14),
)
def test_other_bodies_are_refused_in_the_protocols_shape(candidate, session, body, encoding, expected):
    assert refused(post(candidate, body, encoding)) == expected


@pytest.mark.any_database
@ENCODINGS
@pytest.mark.parametrize(
    ("body", "content_encoding", "expected"),
    [
        (gzip.compress(b" " * (2**24 + 1)), "gzip", (413, 3)),
        (gzip.compress(b"\0" * 2**29, 1), "gzip", (413, 3)),
        (gzip.compress(b"{}")[:-1], "gzip", (400, 3)),
        (gzip.compress(b"{}") * 2, "gzip", (400, 3)),
        (b"{}", "gzip", (400, 3)),
        (b"", "gzip", (400, 3)),
        (zlib.compress(b"{}"), "deflate", (415, 3)),
        (b"{}", "br", (415, 3)),
    ],
    ids=range(8),
)
def test_compressed_bodies_are_bounded(candidate, session, encoding, body, content_encoding, expected):
    assert refused(post(candidate, body, encoding, **{"Content-Encoding": content_encoding})) == expected


@ENCODINGS
def test_wrong_keys_and_other_callers_are_refused(app, session, reviewer, anonymous, recorded, encoding):
    data = encoded(batch(PROMPT), encoding)
    for caller in (reviewer, anonymous, Caller(app, Authorization="Bearer PST-AAAA-BBBB")):
        assert refused(post(caller, data, encoding)) == (401, 16)
        assert refused(post(caller, data, encoding, "/v1/otlp/v1/metrics")) == (401, 16)
    assert recorded() == []


def test_the_key_is_accepted_in_either_header(app, session, recorded):
    data = encoded(batch(PROMPT), JSON)
    for headers in ({"X-API-Key": session.key.key}, {"Authorization": f"Bearer {session.key.key}"}):
        accepted(post(Caller(app, **headers), data))
    assert len(recorded()) == 1


def test_another_candidates_key_stores_in_their_own_session_only(app, assessment, session, recorded):
    other = factories.make_key(assessment, "bob@example.com")
    factories.make_recorded_session(other)
    accepted(post(Caller.candidate(app, other), encoded(batch(PROMPT), JSON)))
    assert recorded() == []


@ENCODINGS
def test_a_session_that_is_not_started_is_refused(candidate, encoding):
    assert refused(post(candidate, encoded(batch(PROMPT), encoding), encoding)) == (409, 9)


@ENCODINGS
def test_a_closed_session_takes_late_records_and_later_none(candidate, clock, session, recorded, encoding):
    sessions.complete(session)
    clock.fixed += STORED_AFTER_CLOSE / 2
    accepted(post(candidate, encoded(batch(PROMPT), encoding), encoding))
    clock.fixed += STORED_AFTER_CLOSE
    assert refused(post(candidate, encoded(batch(USAGE), encoding), encoding)) == (409, 9)
    assert len(recorded()) == 1


def test_without_consent_to_the_channel_nothing_is_stored(app, reviewer, assessment):
    """R38: one agreed to a text without channels, the other to one without telemetry."""
    keys = [factories.make_key(assessment, f"{name}@example.com") for name in ("eve", "mallory")]
    started = [
        factories.make_session(keys[0]),
        factories.make_recorded_session(keys[1], ["proxy", "http-hook"]),
    ]
    for key, session in zip(keys, started, strict=True):
        accepted(post(Caller.candidate(app, key), encoded(batch(PROMPT), JSON)))
        assert reviewer.get(f"/v1/sessions/{session.id}").json["eventCount"] == 0


@ENCODINGS
def test_exporters_retry_when_the_database_is_away(candidate, session, monkeypatch, encoding):
    def fail(*args, **options):
        raise peewee.InterfaceError("connection already closed")

    monkeypatch.setattr(sessions, "record_all", fail)
    response = post(candidate, encoded(batch(PROMPT), encoding), encoding)
    assert refused(response) == (503, 14)
    assert int(response.headers["Retry-After"]) > 0


def test_a_response_of_codex_counts_once_if_the_proxy_carried_it(candidate, reviewer, session):
    """Its telemetry names no request. Input tokens of the proxy and of the metrics exclude the cache's."""
    counts = {"inputTokens": 400, "outputTokens": 42, "cacheReadTokens": 6500, "cacheWriteTokens": 100}
    carried = {"model": "gpt-5.5", "requestId": "r1", "usageScope": "request", "lastAssistantMessage": "Done"}
    sessions.record(
        session, Witness("proxy", "codex", None, "c1"), [RecordedEvent("ai_response", carried | counts, "r1")]
    )
    tokens = {
        "input_token_count": "7000",
        "output_token_count": "42",
        "cached_token_count": "6500",
        "cache_write_token_count": "100",
    }
    common = {"conversation.id": "c1", "model": "gpt-5.5", "event.kind": "response.completed"}
    accepted(post(candidate, encoded(batch(record("codex.sse_event", **common, **tokens)), JSON)))
    shown = reviewer.get(f"/v1/sessions/{session.id}").json
    assert (shown["eventCount"], shown["witnessEventCount"]) == (1, 1)
    sessions.complete(session)
    metrics = reviewer.get(f"/v1/sessions/{session.id}").json["metrics"]
    assert metrics["tokens"] == {
        "gpt-5.5": {"input": 400, "output": 42, "cacheRead": 6500, "cacheWrite": 100}
    }


def test_usage_and_text_of_claude_code_count_once_each_next_to_hooks(candidate, reviewer, session):
    """A hook has the text without usage. It must not hide the usage."""
    text = {"response": "Fixed.", "request_id": "req_1", "model": "claude-opus-4-8"}
    hook = {"hook_event_name": "Stop", "session_id": "s1", "last_assistant_message": "Fixed."}
    assert candidate.post("/v1/hooks/claude-code", hook).status_code == 200
    accepted(post(candidate, encoded(batch(USAGE, record("assistant_response", 2, **text)), JSON)))
    shown = reviewer.get(f"/v1/sessions/{session.id}").json
    assert (shown["eventCount"], shown["witnessEventCount"]) == (2, 1)
    sessions.complete(session)
    metrics = reviewer.get(f"/v1/sessions/{session.id}").json["metrics"]
    assert (metrics["tokens"]["claude-opus-4-8"]["input"], metrics["totalCostUsd"]) == (12, 0.5)


def test_the_agent_sessions_of_a_batch_are_stored_together(candidate, session, recorded, monkeypatch):
    transactions = []
    append = recording.append

    def counted(*arguments, **options):
        transactions.append(arguments)
        return append(*arguments, **options)

    monkeypatch.setattr(recording, "append", counted)
    body = batch(*(record("user_prompt", prompt="x", **{"session.id": f"agent-{n}"}) for n in range(50)))
    accepted(post(candidate, encoded(body, JSON)))
    assert len(recorded()) == 50
    assert len(transactions) == 1
