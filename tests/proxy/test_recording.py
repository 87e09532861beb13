"""Each call's events are stored once, before the client receives the end of the response (R36 to R38)."""

import json
import threading
from datetime import timedelta

import peewee
import pytest
from callers import Caller
from factories import make_recorded_session
from statements import capture_queries

from models import Consent, Event, privacy, sessions
from proxy import billed_call, recording, usage_reader
from rules.session_quota import Quota
from tests.proxy import tiny_dialect
from tests.proxy.upstream import (
    MESSAGE,
    MESSAGE_EVENTS,
    MESSAGE_NANO_USD,
    MESSAGES,
    documents,
    event,
    streams,
)


@pytest.fixture
def session(key):
    return make_recorded_session(key)


@pytest.fixture(autouse=True)
def dialects(app, monkeypatch):
    """Use tiny_dialect for Anthropic's Messages, and no other dialect."""
    monkeypatch.setitem(app.extensions, "dialects", {"messages": tiny_dialect})


@pytest.fixture
def recorded(session):
    """Get the kinds and contents of the session's recorded events by time."""

    def recorded():
        rows = Event.select().where(Event.session == session).order_by(Event.time_ns, Event.seq)
        return [summary(json.loads(row.envelope)) for row in rows]

    return recorded


def summary(envelope):
    data = envelope["data"]
    content = ("text", "lastAssistantMessage", "toolName")
    return envelope["kind"], next((data[name] for name in content if name in data), None)


def conversation(*contents):
    """A request whose messages alternate between the user and the model."""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]
    return json.dumps({"model": "claude-haiku-4-5", "stream": True, "messages": messages})


TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}
TOOL_RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.py"}
TEXT = {"type": "text", "text": "Grüße"}
FIRST = conversation("Hello")
PROMPT, ANSWER = ("prompt", "Hello"), ("ai_response", "Grüße")
STREAMED_ANSWER = ("ai_response", "Grüße \u2028 \x00")
SECOND = conversation("Hello", [TEXT], "And now?")
SECOND_PROMPT = ("prompt", "And now?")


def test_a_call_is_recorded_with_its_usage(call, upstream, recorded, session, usage, clock):
    upstream.respond = documents(200, MESSAGE | {"content": [TEXT, TOOL_USE]}, Request_Id="req_1")
    assert call(MESSAGES, data=FIRST, headers={"X-Agent-Session": "agent-7"}).status_code == 200
    assert recorded() == [PROMPT, ANSWER, ("tool_intent", "Bash")]
    row = Event.get(Event.session == session, Event.kind == "ai_response")
    envelope = json.loads(row.envelope)
    assert row.channel == "proxy"
    assert envelope["source"] == {"channel": "proxy", "tool": "tiny", "version": "1.0"}
    data = envelope["data"]
    assert data["meta"]["ideSessionId"] == "agent-7"
    assert (data["model"], data["requestId"], data["outputTokens"]) == (MESSAGE["model"], "req_1", 200)
    (used,) = usage()
    assert data["totalCost"] == used.cost_nano_usd / 10**9 == MESSAGE_NANO_USD / 10**9
    assert (used.request_id, used.tool, used.agent_session) == ("req_1", "tiny", "agent-7")
    assert used.is_recorded is True


def test_the_cost_of_a_model_without_a_price_is_unknown(call, upstream, session, usage):
    upstream.respond = documents(200, MESSAGE | {"content": [TEXT], "model": "claude-next"})
    call(MESSAGES, data=FIRST)
    assert usage()[0].cost_nano_usd > 0  # for the budget
    row = Event.get(Event.session == session, Event.kind == "ai_response")
    assert json.loads(row.envelope)["data"]["totalCost"] is None


def test_a_response_that_is_too_long_to_be_read_is_not_recorded(call, upstream, usage, monkeypatch):
    monkeypatch.setattr(usage_reader, "MAX_DOCUMENT_BYTES", 1000)
    upstream.respond = documents(200, MESSAGE | {"content": [{"type": "text", "text": "a" * 1000}]})
    call(MESSAGES, data=FIRST)
    assert usage()[0].is_recorded is False


def test_a_call_ends_its_watch_before_another_call_can_use_the_connection(call, monkeypatch):
    watched, on_complete = [], billed_call.BilledCall.on_complete

    def observe(self, response):
        watched.append(response.watch.is_started)
        return on_complete(self, response)

    monkeypatch.setattr(billed_call.BilledCall, "on_complete", observe)
    call(MESSAGES, data=FIRST)
    assert watched == [False]


def test_the_providers_key_is_not_stored(call, upstream, recorded):
    upstream.respond = documents(200, MESSAGE | {"content": [{"type": "text", "text": "Key: sk-ant-ours"}]})
    call(MESSAGES, data=FIRST)
    assert recorded() == [PROMPT, ("ai_response", f"Key: {'*' * 11}")]


def test_a_call_sends_few_statements(call, upstream):
    def count_statements(agent_session):
        upstream.respond = documents(200, MESSAGE | {"id": agent_session})
        with capture_queries() as statements:
            call(MESSAGES, data=FIRST, headers={"X-Agent-Session": agent_session})
        return len(statements)

    count_statements("agent-1")  # reads the secret
    # Key and session; in a savepoint lock, expired reservations and reservation; stored events and texts; in a
    # savepoint lock, count, events, session, texts, usage and reservation.
    assert [count_statements(f"agent-{number}") for number in (2, 3)] == [18, 18]


def test_events_have_the_times_of_the_request_and_of_the_responses_end(call, upstream, session, clock):
    start = clock.fixed

    def respond(exchange):
        clock.fixed = start.replace(second=20)
        documents(200, MESSAGE)(exchange)

    upstream.respond = respond
    call(MESSAGES, data=FIRST)
    times = {row.kind: row.time_ns // 10**9 % 60 for row in Event.select().where(Event.session == session)}
    assert times == {"prompt": 0, "ai_response": 20}


def findings(reviewer, session):
    found = reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"]
    return {finding["code"]: finding["count"] for finding in found}


def test_a_history_that_was_not_recorded_is_recorded_wherever_it_is(
    call, upstream, recorded, session, reviewer
):
    for body in (FIRST, SECOND):
        call(MESSAGES, data=body)
    invented = TOOL_USE | {"id": "toolu_invented"}
    history = ["Hello", [TEXT], "A secret", [{"type": "text", "text": "Sure."}, invented], [TOOL_RESULT]]
    call(MESSAGES, data=conversation(*history, [TEXT], "And now?"))
    rows = Event.select().where(Event.kind == "context").order_by(Event.seq)
    contexts = [json.loads(row.envelope)["data"] for row in rows]
    assert [(data["role"], data["type"], data["text"], data.get("fromHistory")) for data in contexts] == [
        ("user", "text", "A secret", True),
        ("assistant", "text", "Sure.", True),
        ("assistant", "tool_use", json.dumps({"name": "Bash", "input": {"command": "ls"}}), True),
        ("tool", "text", "a.py", True),
    ]
    assert findings(reviewer, session) == {"history_rewritten": 2}
    state = reviewer.get(f"/v1/sessions/{session.id}").json
    assert (state["eventCount"], state["duplicateEventCount"]) == (6, 0)


def test_an_honest_history_is_no_finding(call, upstream, recorded, session, reviewer):
    """Resumed, forked, rewound, compacted, and with a response that the person interrupted."""
    answers = [{"type": "text", "text": answer} for answer in ("One answer", "Two  answers\n", "Three")]
    for number in range(3):
        upstream.respond = documents(
            200, MESSAGE | {"content": [{"type": "thinking", "thinking": "Hm"}, answers[number]]}
        )
        history = [content for n in range(number) for content in (f"Prompt {n}", [answers[n]])]
        call(MESSAGES, data=conversation(*history, f"Prompt {number}"))
    before = recorded()
    for history in (
        ["Prompt 1", [answers[1] | {"text": "Two answers"}]],
        ["Prompt 0", [answers[0] | {"text": "One ans"}]],
    ):
        call(MESSAGES, data=conversation(*history, "More"), headers={"X-Agent-Session": "fork"})
    assert [text for kind, text in recorded()[len(before) :] if kind == "context"] == ["One ans"]
    assert findings(reviewer, session) == {}


def test_repeated_history_and_retries_are_recorded_once(call, recorded):
    for body in (FIRST, FIRST, SECOND, SECOND):
        call(MESSAGES, data=body)
    assert recorded() == [PROMPT, ANSWER, SECOND_PROMPT, ANSWER]


def chunked_document(exchange):
    exchange.head(200, Content_Type="application/json", Transfer_Encoding="chunked")
    body = json.dumps(MESSAGE).encode()
    exchange.chunk(body[:10])
    exchange.chunk(body[10:])
    exchange.end_stream()


def stream_byte_by_byte(exchange):
    streams([bytes([byte]) for byte in b"".join(MESSAGE_EVENTS)])(exchange)


@pytest.mark.parametrize(
    "respond",
    [documents(200, MESSAGE), chunked_document, streams(MESSAGE_EVENTS), stream_byte_by_byte],
    ids=["document", "chunked document", "stream", "stream byte by byte"],
)
def test_events_are_stored_before_the_last_byte_is_sent(candidate, upstream, recorded, usage, respond):
    upstream.respond = respond
    response = candidate.request("POST", MESSAGES, buffered=False, data=FIRST)
    received, size_before_events = b"", None
    for chunk in response.response:
        if size_before_events is None and recorded():
            size_before_events = len(received)
        received += chunk
    response.close()
    # A document's last byte, or the end of a stream's last event.
    assert received[size_before_events:] in (b"}", b"\n", b"\n\n")
    assert recorded()[0] == PROMPT
    assert [used.is_whole for used in usage()] == [True]


@pytest.mark.parametrize(
    "error", [peewee.OperationalError("gone"), ValueError("a bug")], ids=["database", "bug"]
)
def test_the_next_call_records_the_texts_of_a_call_that_was_not_recorded(
    call, upstream, recorded, usage, monkeypatch, error
):
    def fail(*args, **options):
        raise error

    with monkeypatch.context() as failing:
        failing.setattr(sessions, "store_prepared", fail)
        response = call(MESSAGES, data=FIRST)
    assert response.json == MESSAGE
    assert recorded() == []
    assert [used.is_recorded for used in usage()] == [False]
    assert usage()[0].cost_nano_usd == MESSAGE_NANO_USD
    call(MESSAGES, data=SECOND)
    assert recorded() == [SECOND_PROMPT, ("context", "Hello"), ("context", "Grüße"), ANSWER]
    assert [used.is_recorded for used in usage()] == [False, True]


def test_metrics_count_recording_failures(candidate, key, app, app_with, monkeypatch):
    token = "metrics-token-for-tests"
    monitored = app_with(METRICS_TOKEN=token, RATELIMIT_ENABLED="false")
    for name in ("proxy", "dialects"):
        monitored.extensions[name] = app.extensions[name]
    monkeypatch.setattr(tiny_dialect, "read_request", lambda headers, body: body["missing"])
    for _ in range(2):
        Caller.candidate(monitored, key).request("POST", MESSAGES, buffered=True, data=FIRST)
    page = Caller(monitored, Authorization=f"Bearer {token}").get("/metrics").text
    assert "\nproofstone_recording_failures_total 2.0\n" in page


def test_a_dialect_that_fails_does_not_break_the_response(call, recorded, usage, monkeypatch):
    monkeypatch.setattr(tiny_dialect.Response, "add", lambda self, part: part["missing"])
    assert call(MESSAGES, data=FIRST).json == MESSAGE
    # The request's events are stored nevertheless.
    assert recorded()[0] == PROMPT
    assert [used.is_recorded for used in usage()] == [False]


def test_a_long_history_is_recorded_in_parts_and_a_finding_reports_it(
    call, recorded, session, reviewer, monkeypatch
):
    monkeypatch.setattr(recording, "MAX_EVENTS", 8)
    contents = [f"{number}" if number % 2 == 0 else [TEXT] for number in range(21)]
    for _ in range(2):
        call(MESSAGES, data=conversation(*contents))
        assert findings(reviewer, session)["call_not_recorded"] == 1
    assert {text for _, text in recorded()} == {"Grüße", *map(str, range(0, 21, 2))}


def test_calls_of_a_full_session_are_not_recorded(call, session, reviewer, usage, monkeypatch):
    monkeypatch.setattr(billed_call, "session_quota", lambda: Quota(max_bytes=10**6, max_events=2))
    for body in (FIRST, SECOND):
        call(MESSAGES, data=body)
    assert [used.is_recorded for used in usage()] == [True, False]
    assert findings(reviewer, session) == {"call_not_recorded": 1, "session_full": 2}


@pytest.mark.bypasses_ledger
def test_nothing_is_recorded_without_consent_to_this_channel(call, recorded, usage):
    Consent.update(channels=["otlp"]).execute()
    assert call(MESSAGES, data=FIRST).status_code == 200
    assert recorded() == []
    (used,) = usage()
    assert (used.is_recorded, used.agent_session, used.cost_nano_usd) == (None, None, MESSAGE_NANO_USD)


def test_calls_without_a_dialect_are_only_forwarded(call, app, recorded, usage, monkeypatch):
    monkeypatch.delitem(app.extensions, "dialects")
    assert call(MESSAGES, data=FIRST).status_code == 200
    assert recorded() == []
    assert [used.is_recorded for used in usage()] == [None]


@pytest.mark.parametrize("status", [400, 429, 529])
def test_a_failed_call_is_recorded_when_it_is_retried(call, upstream, recorded, usage, status):
    upstream.respond = documents(status, {"type": "error"})
    call(MESSAGES, data=FIRST)
    assert recorded() == []
    upstream.respond = documents(200, MESSAGE)
    call(MESSAGES, data=FIRST)
    assert recorded() == [PROMPT, ANSWER]
    assert [used.is_recorded for used in usage()] == [None, True]


def test_free_calls_are_not_stored(call, recorded, usage):
    call(f"{MESSAGES}/count_tokens", data=FIRST)
    call("/v1/proxy/anthropic/v1/models", method="GET")
    assert recorded() == usage() == []


@pytest.mark.parametrize(
    ("events", "is_whole", "answer"),
    [(MESSAGE_EVENTS[:4], False, ("ai_response", "Gr")), (MESSAGE_EVENTS, True, STREAMED_ANSWER)],
    ids=["in the middle", "after the last event"],
)
def test_a_response_is_recorded_up_to_the_disconnect(
    disconnect_after, recorded, usage, events, is_whole, answer
):
    disconnect_after(events, data=FIRST)
    assert recorded() == [PROMPT, answer]
    assert [used.is_whole for used in usage()] == [is_whole]


def test_the_request_is_read_while_the_model_generates(call, upstream, recorded, monkeypatch):
    has_read = threading.Event()

    def read_request(headers, body):
        has_read.set()
        return tiny_dialect.Request(headers, body)

    monkeypatch.setattr(tiny_dialect, "read_request", read_request)
    upstream.respond = streams(MESSAGE_EVENTS, rest_after=has_read)
    assert call(MESSAGES, data=FIRST).data == b"".join(MESSAGE_EVENTS)
    assert recorded() == [PROMPT, STREAMED_ANSWER]


def test_only_the_new_part_of_a_long_history_is_read(call, recorded, monkeypatch):
    contents = [f"{number}" if number % 2 == 0 else [TEXT] for number in range(41)]
    call(MESSAGES, data=conversation(*contents))
    read = []
    monkeypatch.setattr(tiny_dialect, "on_read", read.append)
    call(MESSAGES, data=conversation(*contents, [TEXT], "41"))
    assert recorded()[-2] == ("prompt", "41")
    assert min(read) >= 39


def test_the_time_to_the_first_token_is_recorded(call, upstream, usage, session):
    upstream.respond = streams([*MESSAGE_EVENTS[:-1], event({"type": "message_stop"})])
    call(MESSAGES, data=FIRST)
    data = json.loads(Event.get(Event.session == session, Event.kind == "ai_response").envelope)["data"]
    assert data["firstTokenMs"] == usage()[0].first_token_ms >= 0


@pytest.mark.parametrize(("hours", "late"), [(0, [False, False]), (1, [True, True]), (25, [])])
def test_a_call_that_ends_after_the_close_follows_the_rules_for_events(
    candidate, upstream, session, clock, usage, hours, late
):
    upstream.respond = streams(MESSAGE_EVENTS)
    response = candidate.request("POST", MESSAGES, buffered=False, data=FIRST)
    sessions.complete(session)
    clock.fixed += timedelta(hours=hours)
    assert b"".join(response.response) == b"".join(MESSAGE_EVENTS)
    response.close()
    assert [row.late for row in Event.select().where(Event.session == session)] == late
    assert [used.is_recorded for used in usage()] == [True if late else None]


def test_nothing_is_recorded_after_an_erasure(candidate, upstream, session, recorded, usage):
    upstream.respond = streams(MESSAGE_EVENTS)
    response = candidate.request("POST", MESSAGES, buffered=False, data=FIRST)
    privacy.erase(session.key)
    assert b"".join(response.response) == b"".join(MESSAGE_EVENTS)
    response.close()
    assert recorded() == []
    assert [(used.is_recorded, used.agent_session) for used in usage()] == [(None, None)]


@pytest.mark.parametrize("has_failed", [False, True])
def test_a_call_without_new_events_leaves_no_traces_after_an_erasure(
    call, upstream, session, usage, monkeypatch, has_failed
):
    upstream.respond = documents(200, MESSAGE | {"content": []})
    call(MESSAGES, data=FIRST)
    collect = recording.Recorder.collect

    def collect_and_erase(self, response_usage, ended_at):
        collect(self, response_usage, ended_at)
        if has_failed:
            self.fail()
        privacy.erase(session.key)

    monkeypatch.setattr(recording.Recorder, "collect", collect_and_erase)
    monkeypatch.setattr(tiny_dialect.Response, "events", lambda self, request, usage: [])
    call(MESSAGES, data=FIRST)
    assert [(used.tool, used.agent_session) for used in usage()] == [(None, None)] * 2
