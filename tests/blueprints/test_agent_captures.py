"""Real agents' captured requests produce events with their prompts, calls and exit codes.

Set AGENT_CAPTURES to the folder with the captures: JSON Lines files with one request per line.
"""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import factories
import pytest
from response_checks import export_events

FOLDER = Path(os.environ.get("AGENT_CAPTURES") or Path(__file__).parents[3] / "shared/data/agents")
PRIVATE = re.compile(
    r"transcript|\.jsonl|user\.(?:id|email|account)|organization|host\.name|PST-[A-Z]{4}-[A-Z]{4}"
)


def capture_files(pattern):
    files = sorted(FOLDER.glob(pattern))
    missing = pytest.mark.skip(f"no {pattern} in {FOLDER} (see AGENT_CAPTURES)")
    return [pytest.param(file, id=file.stem) for file in files] or [pytest.param(None, marks=missing)]


def requests(file):
    """Yield record request's arrival time and body."""
    for line in file.read_text("utf-8").splitlines():
        request = json.loads(line)
        yield datetime.fromtimestamp(request["t"], UTC), request["body"]


@pytest.fixture
def session(clock, file, key):
    clock.fixed = next(requests(file))[0] - timedelta(minutes=1)
    return factories.make_recorded_session(key)


@pytest.fixture
def read_events(reviewer, session):
    """A function that reads record event's kind and data, and fails on private data."""

    def read():
        events = export_events(reviewer, session)
        assert not PRIVATE.search(json.dumps(events))
        return [(event["kind"], event["data"]) for event in events]

    return read


def of_kind(events, *kinds):
    return [data for kind, data in events if kind in kinds]


def post_twice(candidate, path, body):
    for _ in range(2):
        response = candidate.post(path, body)
        assert (response.status_code, response.json) == (200, {})


def post_logs(candidate, clock, file):
    for clock.fixed, body in requests(file):
        post_twice(candidate, "/v1/otlp/v1/logs", body)


def exit_code(hook):
    if hook["hook_event_name"] == "PostToolUse":
        response = hook["tool_response"]
        is_complete = isinstance(response, dict) and not response["interrupted"]
        return 0 if is_complete else None
    match = re.match(r"Exit code (\d+)\n", hook["error"])
    return int(match[1]) if match else None


@pytest.mark.parametrize("file", capture_files("*-hooks.jsonl"))
def test_hooks_are_recorded(candidate, session, read_events, file):
    hooks = [body for _, body in requests(file)]
    tool = "codex" if "codex" in file.name else "claude-code"
    for hook in hooks:
        post_twice(candidate, f"/v1/hooks/{tool}", hook)
    events = read_events()

    def hooks_named(prefix):
        return [hook for hook in hooks if str(hook.get("hook_event_name")).startswith(prefix)]

    prompts = [hook["prompt"] for hook in hooks_named("UserPromptSubmit")]
    assert [data["text"] for data in of_kind(events, "prompt")] == prompts
    intents = [(data["toolUseId"], data["toolName"]) for data in of_kind(events, "tool_intent")]
    assert intents == [(hook["tool_use_id"], hook["tool_name"]) for hook in hooks_named("PreToolUse")]
    results = [data["toolUseId"] for kind, data in events if kind != "tool_intent" and "toolUseId" in data]
    assert results == [hook["tool_use_id"] for hook in hooks_named("PostToolUse") if "tool_use_id" in hook]
    commands = [hook for hook in hooks_named("PostToolUse") if hook.get("tool_name") == "Bash"]
    assert [(data["command"], data.get("exitCode")) for data in of_kind(events, "command")] == [
        (hook["tool_input"]["command"], exit_code(hook)) for hook in commands
    ]


def records(file):
    """Yield record record's name and attributes."""
    for _, body in requests(file):
        for resource in body["resourceLogs"]:
            for scope in resource["scopeLogs"]:
                for record in scope["logRecords"]:
                    attributes = {
                        attribute["key"]: next(iter(attribute["value"].values()))
                        for attribute in record.get("attributes", ())
                    }
                    yield attributes.pop("event.name", None), attributes


@pytest.mark.parametrize("file", capture_files("*claude*-otlp.jsonl"))
def test_claude_code_telemetry_is_recorded(candidate, clock, session, read_events, file):
    post_logs(candidate, clock, file)
    events, logs = read_events(), list(records(file))
    prompts = [
        record["prompt"] for name, record in logs if name == "user_prompt" and "command_name" not in record
    ]
    assert [data["text"] for data in of_kind(events, "prompt")] == prompts
    decisions = [
        (record["tool_use_id"], record["tool_name"]) for name, record in logs if name == "tool_decision"
    ]
    assert [(data["toolUseId"], data["toolName"]) for data in of_kind(events, "tool_intent")] == decisions
    commands = [record for name, record in logs if name == "tool_result" and record["tool_name"] == "Bash"]
    # Claude Code's telemetry does not include exit codes.
    assert [(data["command"], data["ok"], data.get("exitCode")) for data in of_kind(events, "command")] == [
        (json.loads(record["tool_parameters"])["full_command"], record["success"] == "true", None)
        for record in commands
    ]
    results = {data["toolUseId"] for kind, data in events if kind != "tool_intent" and "toolUseId" in data}
    rejected = {
        record["tool_use_id"]
        for name, record in logs
        if name == "tool_decision" and record["decision"] == "reject"
    }
    assert results == {record["tool_use_id"] for name, record in logs if name == "tool_result"} | rejected
    api_requests = [record for name, record in logs if name == "api_request"]
    responses = of_kind(events, "ai_response", "subagent_usage")
    for field, attribute in {"outputTokens": "output_tokens", "totalCost": "cost_usd"}.items():
        total = sum(data.get(field, 0) for data in responses)
        assert total == pytest.approx(sum(record[attribute] for record in api_requests))
    assert [data["toMode"] for data in of_kind(events, "mode_change")] == [
        record["to_mode"] for name, record in logs if name == "permission_mode_changed"
    ]


@pytest.mark.parametrize("file", capture_files("*codex*-otlp.jsonl"))
def test_codex_telemetry_is_recorded(candidate, clock, session, read_events, file):
    post_logs(candidate, clock, file)
    events, logs = read_events(), list(records(file))
    assert [data["text"] for data in of_kind(events, "prompt")] == [
        record["prompt"] for name, record in logs if name == "codex.user_prompt"
    ]
    results = [
        record for name, record in logs if name == "codex.tool_result" and record["tool_name"] != "exec"
    ]
    assert [data["toolUseId"] for data in of_kind(events, "tool_intent")] == [
        record["call_id"] for record in results
    ]
    commands = [record for record in results if record["tool_name"] == "exec_command"]
    assert [(data["command"], data["exitCode"]) for data in of_kind(events, "command")] == [
        (
            json.loads(record["arguments"])["cmd"],
            int(re.search(r"exited with code (\d+)", record["output"])[1]),
        )
        for record in commands
    ]
    usage = [record for name, record in logs if name == "codex.sse_event" and "input_token_count" in record]
    responses = of_kind(events, "ai_response")
    assert len(responses) == len(usage)
    for fields, attribute in {
        ("inputTokens", "cacheReadTokens"): "input_token_count",
        ("outputTokens",): "output_token_count",
    }.items():
        total = sum(data[field] for data in responses for field in fields)
        assert total == sum(int(record[attribute]) for record in usage)
