"""Coding agents' hooks over HTTP (R36 to R39)."""

import json

import factories
import pytest
from response_checks import error_of, export_events

from access import rate_limits
from models import sessions

PATHS = ["/v1/hooks/claude-code", "/v1/hooks/codex", "/v1/hooks/opencode"]
# Response fields that steer Claude Code or Codex
STEERING = {
    *("continue", "stopReason", "suppressOutput", "systemMessage", "decision", "reason", "async"),
    *("hookSpecificOutput", "permissionDecision", "additionalContext", "updatedInput"),
}
PROMPT = {
    "hook_event_name": "UserPromptSubmit",
    "session_id": "s1",
    "prompt_id": "p1",
    "prompt": "Fix the cart",
}
COMMAND = {
    "hook_event_name": "PostToolUseFailure",
    "session_id": "s1",
    "tool_name": "Bash",
    "tool_use_id": "toolu_1",
    "tool_input": {"command": "make test"},
    "error": "Exit code 2\n1 failed",
    "transcript_path": "/home/ada/.claude/projects/shop/s1.jsonl",
}


@pytest.fixture
def session(key):
    return factories.make_recorded_session(key)


@pytest.fixture
def recorded(reviewer, session):
    return lambda: export_events(reviewer, session)


def assert_accepted(response):
    assert (response.status_code, response.json) == (200, {})


@pytest.mark.parametrize("path", PATHS)
def test_hook_is_stored_and_its_response_is_empty(candidate, session, recorded, path):
    assert_accepted(candidate.post(path, PROMPT))
    (event,) = recorded()
    assert (event["kind"], event["data"]["text"]) == ("prompt", "Fix the cart")
    assert event["source"] == {"channel": "http-hook", "tool": path.rpartition("/")[2]}
    assert event["data"]["meta"] == {"ideSessionId": "s1"}


def test_exit_code_is_included_in_the_metrics(candidate, reviewer, session):
    assert_accepted(candidate.post(PATHS[0], COMMAND))
    sessions.complete(session)
    metrics = reviewer.get(f"/v1/sessions/{session.id}").json["metrics"]
    assert (metrics["commandCount"], metrics["commandFailRate"]) == (1, 1.0)


def test_transcript_paths_and_secrets_are_not_stored(candidate, session, recorded):
    error = f"Exit code 1\n{session.key.key} sk-ant-api03-{'a' * 40}"
    assert_accepted(candidate.post(PATHS[0], COMMAND | {"error": error}))
    text = json.dumps(recorded())
    for secret in ("Exit code", "s1.jsonl", "/home/ada", session.key.key, "sk-ant-api03"):
        assert secret not in text


@pytest.mark.parametrize(
    "hook", [{"hook_event_name": "PostToolBatch"}, {"hook_event_name": "NewIn3"}, {}, {"x": [1]}]
)
def test_hook_without_an_event_is_accepted(candidate, session, recorded, hook):
    assert_accepted(candidate.post(PATHS[0], {"session_id": "s1"} | hook))
    assert recorded() == []


def test_output_can_contain_any_character(candidate, session, recorded):
    output = "a\x00b\ud800\U0001f600"
    body = json.dumps(COMMAND | {"error": f"Exit code 1\n{output}"})
    assert_accepted(candidate.request("POST", PATHS[0], data=body, content_type="application/json"))
    assert recorded()[0]["data"]["stdout"] == output


def test_infinite_number_in_tool_input_is_accepted(candidate, session, recorded):
    body = (
        '{"hook_event_name": "PostToolUse", "session_id": "s", "tool_use_id": "t", "tool_name": "TodoWrite", '
        '"tool_input": {"todos": [{"content": "x", "n": 1e999}]}, "tool_response": {}, "duration_ms": 5}'
    )
    assert_accepted(candidate.request("POST", PATHS[0], data=body, content_type="application/json"))
    (event,) = recorded()
    assert event["kind"] == "planning"
    json.dumps(event, allow_nan=False)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "value",
    ["[" * 40 + "]" * 40, '{"a":' * 20_000 + "1" + "}" * 20_000, "9" * 5000, '{"a": 1, "a": 2}', "NaN"],
    ids=["40 levels", "20,000 levels", "5,000 digits", "repeated field", "NaN"],
)
def test_call_is_recorded_with_any_json(candidate, session, recorded, path, value):
    fields = {"hook_event_name": "PostToolUse", "session_id": "s1", "tool_use_id": "t", "tool_name": "bash"}
    fields |= {"tool_input": {"command": "ls"}, "tool_response": {}}
    body = json.dumps(fields).replace('"ls"', f'"ls", "more": {value}').replace("{}", value)
    assert_accepted(candidate.request("POST", path, data=body, content_type="application/json"))
    (event,) = recorded()
    assert event["kind"] in ("command", "tool_use")
    json.dumps(event, allow_nan=False)


def test_deep_values_are_stored_as_their_json_with_masked_secrets(candidate, session, recorded):
    secret = f"sk-ant-api03-{'a' * 40}"
    deep = "[" * 40 + json.dumps(secret) + "]" * 40
    body = {"hook_event_name": "PostToolUse", "session_id": "s", "tool_use_id": "t", "tool_name": "TodoWrite"}
    text = json.dumps(body | {"tool_input": {"todos": "DEEP"}}).replace('"DEEP"', deep)
    assert_accepted(candidate.request("POST", PATHS[0], data=text, content_type="application/json"))
    (event,) = recorded()
    stored = json.dumps(event["data"]["todos"])
    assert stored.startswith("[" * 30 + '"[')
    assert secret not in stored


@pytest.mark.parametrize("value", ["a\x00b\ud800", "🎉" * 1000])
def test_names_can_contain_any_character(candidate, session, recorded, value):
    names = ("session_id", "tool_use_id", "tool_name", "cwd", "agent_id", "prompt_id")
    body = json.dumps(COMMAND | dict.fromkeys(names, value))
    assert_accepted(candidate.request("POST", PATHS[0], data=body, content_type="application/json"))
    assert [event["kind"] for event in recorded()] == ["tool_use"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("{", "application/json", (400, "invalid_json")),
        ("[]", "application/json", (400, "invalid_json")),
        ('"stop"', "application/json", (400, "invalid_json")),
        ("[" * 50_000, "application/json", (400, "invalid_json")),
        ('{"hook_event_name": 7}', "application/json", (400, "invalid_request")),
        ('{"tool_input": [' + "1," * 100_000 + "1]}", "application/json", (400, "too_many_values")),
        ("{}", "text/plain", (415, "unsupported_media_type")),
        (f'{{"prompt": "{"x" * 2**24}"}}', "application/json", (413, "too_large")),
    ],
    ids=range(8),
)
def test_errors_do_not_steer_the_agent(candidate, session, path, body, content_type, expected):
    response = candidate.request("POST", path, data=body, content_type=content_type)
    assert error_of(response) == expected
    assert not STEERING & response.json.keys()


def test_rejections_do_not_steer_the_agent(candidate, anonymous):
    for caller, expected in ((anonymous, (401, "unauthorized")), (candidate, (409, "not_redeemed"))):
        response = caller.post(PATHS[0], PROMPT)
        assert error_of(response) == expected
        assert not STEERING & response.json.keys()


def test_agent_reports_use_the_ingest_rate_limit(app):
    paths = {*PATHS, "/v1/otlp/v1/logs", "/v1/otlp/v1/metrics", "/v1/otlp/v1/traces"}
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule in paths]
    limits = [rate_limits.get_limit_setting(app.view_functions[rule.endpoint]) for rule in rules]
    assert limits == [rate_limits.INGEST] * len(paths)
