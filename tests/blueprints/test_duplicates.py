"""Duplicates: a call that several channels recorded counts once (R31, R36, R38)."""

import json
import random
from datetime import timedelta

import factories
import pytest
import statements
from factories import add_event, envelope
from independent_metrics import recompute, select_counted
from response_checks import body_of, error_of, error_paths
from signing import Signer

from models import Consent, Event, Session, db, sessions
from rules.events.recorded_events import CHANNELS, RecordedEvent
from rules.session_close import FLUSH_WINDOW


def call(kind, identity="toolu_1", **data):
    return RecordedEvent(kind, {"toolUseId": identity} | data, identity)


PROMPT = RecordedEvent("prompt", {"text": "Fix it"}, "1")
INTENT = call("tool_intent", toolName="Bash")
FAILED = call("command", command="pytest", exitCode=1, stdout="1 failed")
CHANGE = call("file_diff", "toolu_2", path="a.py", diff="@@ -1 +1 @@\n-a\n+b\n", linesAdded=1, linesRemoved=1)
RESPONSE = {"lastAssistantMessage": "Done", "model": "claude-opus-4-8", "requestId": "req_1"}
USAGE = {"usageScope": "request", "inputTokens": 10, "outputTokens": 20, "totalCost": 0.25}
EVENTS = [PROMPT, INTENT, FAILED, CHANGE, RecordedEvent("ai_response", RESPONSE | USAGE, "req_1")]
PLAN = call("planning", "toolu_3", toolName="TodoWrite", todos=[{"content": "Test", "status": "pending"}])


@pytest.fixture
def session(assessment):
    return factories.make_recorded_session(factories.make_key(assessment))


def get(reviewer, session, *path, **query):
    return body_of(reviewer.get("/".join(["/v1/sessions", str(session.id), *path]), **query))


def finding_codes(reviewer, session):
    return [finding["code"] for finding in get(reviewer, session, "integrity")["findings"]]


def closed_metrics(reviewer, session):
    sessions.complete(session)
    return get(reviewer, session)["metrics"]


def counts(reviewer, session):
    body = get(reviewer, session)
    return body["eventCount"], body["duplicateEventCount"], body["lateEventCount"]


def record_everywhere(session, *events):
    for channel in reversed(CHANNELS):
        factories.record(session, channel, *events)


def test_a_prompt_whose_image_only_the_proxy_sees_counts_once(reviewer, session):
    with_image = RecordedEvent("prompt", {"text": "[image]\nFix it"}, "1")
    factories.record(session, "otlp", PROMPT)
    factories.record(session, "proxy", with_image)
    assert closed_metrics(reviewer, session)["promptCount"] == 1


def test_call_counts_once(reviewer, session):
    record_everywhere(session, *EVENTS)
    assert counts(reviewer, session) == (5, 10, 0)
    metrics = closed_metrics(reviewer, session)
    expected = {"promptCount": 1, "commandCount": 1, "fileChangeCount": 1, "commandFailRate": 1}
    expected |= {"totalCostUsd": 0.25, "toolUsage": {"Bash": 1}}
    expected["tokens"] = {"claude-opus-4-8": {"input": 10, "output": 20, "cacheRead": 0, "cacheWrite": 0}}
    assert expected.items() <= metrics.items()
    assert Session.get_by_id(session.id).event_count == get(reviewer, session)["eventCount"] == 5


def test_analytics_artifacts_and_activity_exclude_duplicates(reviewer, session):
    record_everywhere(session, *EVENTS, PLAN)
    assert get(reviewer, session, "analytics")["tools"] == [{"name": "Bash", "calls": 1}]
    artifacts = get(reviewer, session, "artifacts")
    assert [command["exitCode"] for command in artifacts["commands"]] == [1]
    assert [len(file["changes"]) for file in artifacts["files"]] == [1]
    assert [plan["versions"] for plan in artifacts["plans"]] == [1]
    activity = get(reviewer, session, "recent-activity")
    assert activity["eventCount"] == 6
    assert activity["recentActivity"] == {"filesChanged": ["a.py"], "commands": ["pytest"], "promptCount": 1}


def test_all_channels_are_duplicates_of_the_client(reviewer, session):
    client_only = factories.make_session(factories.make_key(session.key.assessment))
    data = {"command": "make", "exitCode": 0}
    client_events = [envelope("command", at=second, data=data) for second in (1, 3)]
    for event in client_events:
        add_event(client_only, event)
    record_everywhere(session, *EVENTS)
    for event in client_events:
        add_event(session, event | {"id": event["id"] + "0"})
    assert counts(reviewer, session) == (2, 15, 0)
    assert get(reviewer, session, "recent-activity")["recentActivity"]["commands"] == ["make"]
    assert len(get(reviewer, session, "artifacts")["commands"]) == 2
    assert closed_metrics(reviewer, session) == closed_metrics(reviewer, client_only)


def test_late_client_events_do_not_affect_the_channels(clock, reviewer, session):
    record_everywhere(session, PROMPT)
    sessions.complete(session)
    clock.fixed += FLUSH_WINDOW * 4
    add_event(session, envelope())
    assert counts(reviewer, session) == (1, 2, 1)
    assert get(reviewer, session)["metrics"]["promptCount"] == 1


def test_timeline_marks_duplicates_and_filters_by_channel(reviewer, session):
    factories.record(session, "otlp", PROMPT, INTENT)
    factories.record(session, "proxy", PROMPT)
    events = get(reviewer, session, "timeline")["events"]
    rows = {(event["channel"], event["kind"]): event for event in events}
    assert {key: event["counts"] for key, event in rows.items()} == {
        ("otlp", "prompt"): False,
        ("otlp", "tool_intent"): True,
        ("proxy", "prompt"): True,
    }
    assert {event["source"] for event in rows.values()} == {"claude-code"}
    one = get(reviewer, session, "timeline", rows["otlp", "prompt"]["id"])["event"]
    assert (one["channel"], one["counts"]) == ("otlp", False)
    add_event(session, envelope(id="client"))
    for channel, count in [("otlp", 2), ("proxy", 1), ("http-hook", 0), ("client", 1)]:
        assert len(get(reviewer, session, "timeline", channel=channel)["events"]) == count
    compact = reviewer.get(f"/v1/sessions/{session.id}/timeline/compact").text.splitlines()
    assert [json.loads(line)["counts"] for line in compact].count(True) == 1
    assert error_paths(reviewer.get(f"/v1/sessions/{session.id}/timeline", channel="hook")) == [["channel"]]


def test_decisions_mark_duplicates(reviewer, session):
    record_everywhere(session, call("plan_decision", planPreview="1. Read", responsePreview="Go"))
    decisions = get(reviewer, session, "decisions")["decisions"]
    counting = {decision["channel"]: decision["counts"] for decision in decisions}
    assert counting == {"proxy": True, "http-hook": False, "otlp": False}


def test_client_sessions_are_not_searched_for_duplicates(reviewer, session):
    add_event(session, envelope())
    for path, events in (["timeline"], 1), (["timeline", "compact"], 2):
        with statements.capture_queries() as queries:
            reviewer.get("/".join(["/v1/sessions", str(session.id), *path]))
        assert len([text for text in queries if 'FROM "events"' in text]) == events


# Forged channels


@pytest.mark.parametrize("channel", CHANNELS)
def test_client_cannot_forge_a_channel(candidate, reviewer, key, channel):
    event = envelope(source="claude-code", channel=channel, provenance={"methods": [channel]})
    Consent.record(key, "1", "1" * 64, list(CHANNELS))
    session = sessions.redeem(key.key)
    forged = event | {"id": "3", "source": {"channel": channel, "tool": "claude-code"}}
    (rejected,) = candidate.post("/v1/hooks/ingest/batch", {"events": [forged]}).json["results"]
    assert rejected["status"] == "rejected"
    assert candidate.post("/v1/hooks/ingest", event).status_code == 201
    assert candidate.post("/v1/hooks/ingest/batch", {"events": [event | {"id": "2"}]}).status_code == 200
    assert [row.channel for row in Event.select()] == [None, None]
    factories.record(session, channel, PROMPT)
    assert get(reviewer, session)["eventCount"] == 2
    codes = finding_codes(reviewer, session)
    assert "unsigned_event" in codes
    # The client did not report the proxy's prompt.
    assert ("prompt_not_reported" in codes) == (channel == "proxy")


def test_client_cannot_replace_a_recorded_event(candidate, key):
    session = factories.make_recorded_session(key)
    factories.record(session, "proxy", PROMPT)
    event = envelope(id=Event.get().event_id, data={"text": "forged"})
    assert candidate.post("/v1/hooks/ingest", event).status_code == 200
    assert json.loads(Event.get().envelope)["data"]["text"] == "Fix it"


TAMPERING = {
    "the channel is changed": {"channel": "otlp"},
    "the channel is removed": {"channel": None},
    "the channel and its columns are removed": {"channel": None, "joins": None, "source": "proxy"},
    "the join keys are changed": {"joins": "outcome:0"},
    "the join keys are removed": {"joins": None},
    "the agent session is changed": {"agent_session": "agent-2"},
}


@pytest.mark.parametrize("columns", TAMPERING.values(), ids=TAMPERING)
def test_tampering_with_a_channel_is_a_finding(reviewer, session, columns):
    factories.record(session, "proxy", FAILED)
    assert finding_codes(reviewer, session) == []
    Event.update(columns).execute()
    comparison = ["call_not_proxied"] if columns == {"channel": "otlp"} else []
    assert finding_codes(reviewer, session) == ["column_changed", *comparison]


def test_recorded_events_require_no_signature(clock, reviewer, key):
    Consent.record(key, "1", "1" * 64, list(CHANNELS))
    session = sessions.redeem(key.key, Signer().public_key)
    factories.record(session, "proxy", PROMPT)
    assert finding_codes(reviewer, session) == []


@pytest.mark.parametrize("column", ["channel", "agent_session", "joins", "source"])
@pytest.mark.parametrize("value", ["'other'", "''", "'1'", "NULL"])
def test_malformed_columns_can_be_read(reviewer, session, column, value):
    record_everywhere(session, *EVENTS)
    db.execute_sql(f"UPDATE events SET {column} = {value} WHERE seq = (SELECT MIN(seq) FROM events)")
    resources = "timeline timeline/compact artifacts analytics decisions recent-activity"
    for resource in ("", *resources.split()):
        assert reviewer.get(f"/v1/sessions/{session.id}/{resource}".rstrip("/")).status_code == 200, resource
    assert finding_codes(reviewer, session)
    sessions.complete(session)


# Redeem (R31)


def test_recorded_event_does_not_prevent_another_redemption(anonymous, session):
    factories.record(session, "proxy", PROMPT)
    body = {"key": session.key.key, "signingPubKey": Signer().public_key}
    assert anonymous.post("/v1/candidate/redeem", body).status_code == 200
    add_event(session, envelope())
    assert error_of(anonymous.post("/v1/candidate/redeem", body)) == (409, "already_redeemed")


KINDS = [
    *("prompt", "ai_response", "subagent_usage", "tool_intent"),
    *("command", "file_diff", "tool_use", "session_start"),
]


def random_events(source):
    for _ in range(source.randrange(1, 40)):
        kind, number = source.choice(KINDS), source.randrange(6)
        data = {
            "prompt": {"text": source.choice(["continue", "continue ", "stop", ""])},
            "ai_response": {"lastAssistantMessage": f"text {number % 3}", "requestId": f"req_{number}"},
            "subagent_usage": {"requestId": f"req_{number}"},
            "session_start": {},
        }.get(kind, {"toolUseId": f"toolu_{number}", "toolName": f"Tool{number % 2}"})
        if kind == "command":
            data["command"] = source.choice(["pytest", "ls", "make build"])
            data["exitCode"] = source.choice([0, 1, None])
        if kind == "file_diff":
            data["path"] = f"{number}.py"
        yield RecordedEvent(kind, data, str(source.random()))


@pytest.mark.parametrize("seed", range(12))
def test_metrics_match_an_independent_implementation(clock, reviewer, session, seed):
    source = random.Random(seed)
    for _ in range(source.randrange(2, 8)):
        agent_session, channel = source.choice(["agent-1", "agent-2"]), source.choice(CHANNELS)
        events, tool = random_events(source), source.choice(["claude-code", "opencode"])
        factories.record(session, channel, *events, agent_session=agent_session, tool=tool)
        clock.fixed += timedelta(seconds=source.randrange(100))
    if seed % 4 == 0:
        add_event(session, envelope())
    stored = [(event.channel, json.loads(event.envelope)) for event in Event.select().order_by(Event.seq)]
    expected = recompute(select_counted(stored))
    metrics = closed_metrics(reviewer, session)
    rounded = {"commandFailRate", "verifyIntensity", "manualEditRatio", "aiAttributionPct"}
    names = expected.keys() & metrics.keys() - rounded
    assert len(names) > 8
    assert {name: metrics[name] for name in names} == {name: expected[name] for name in names}
    assert get(reviewer, session)["eventCount"] == expected["eventCount"]
    assert Session.get_by_id(session.id).command_fail_rate == expected["commandFailRate"]
