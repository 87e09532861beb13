"""Agents with a model of the candidate's own: what telemetry, or opencode's plugin, reports equals the script."""

import pytest

from tests.agents import expected
from tests.agents.prices import cost_nano_usd
from tests.agents.script import Answer, Prompt
from tests.agents.workspace import RUN_TESTS

BILLION = 10**9
CHANGES = ("file_diff", "file_create", "file_delete")
LINES = ("linesAdded", "linesRemoved")


def counted(recording, *kinds):
    return [event for event in recording.counted if event["kind"] in kinds]


def count_lines(data):
    return [data.get(name) or 0 for name in LINES]


def test_the_run_followed_the_script(unproxied):
    assert unproxied.unexpected == []
    assert unproxied.files == unproxied.scenario.workspace.files
    answers = {id(call.answer) for call in unproxied.served if call.answer}
    assert answers == {id(answer) for answer in unproxied.script.answers()}


def test_calls_past_the_proxy_are_the_only_finding(unproxied):
    assert unproxied.calls == []
    assert unproxied.findings == ["call_not_proxied"]


def test_prompts_count_once(unproxied):
    scripted = [step.text for step in unproxied.scenario.conversation if isinstance(step, Prompt)]
    prompts = [event["data"]["text"] for event in counted(unproxied, "prompt")]
    assert prompts == ([] if unproxied.scenario.tool == "opencode" else scripted)
    assert unproxied.repeated["metrics"]["promptCount"] == len(prompts)


def test_commands_count_once_with_their_exit_codes(unproxied):
    """Claude Code's telemetry reports only success or failure."""
    commands, metrics = unproxied.scenario.workspace.commands, unproxied.repeated["metrics"]
    reported = [event["data"] for event in counted(unproxied, "command")]
    if unproxied.scenario.tool == "claude-code":
        assert not [data for data in reported if "exitCode" in data]
        outcomes = [(data["command"], data["ok"]) for data in reported]
        assert outcomes == [(command, code == 0) for command, code in commands]
        assert (metrics["commandFailRate"], metrics["testsPassed"]) == (None, None)
    else:
        assert sorted((data["command"], data["exitCode"]) for data in reported) == sorted(commands)
        failed = [command for command, code in commands if code]
        assert metrics["commandFailRate"] == round(len(failed) / len(commands), 3)
        assert metrics["testsPassed"] is True
    assert metrics["commandCount"] == len(commands)
    assert metrics["testRunCount"] == [command for command, _ in commands].count(RUN_TESTS)


def test_changes_count_once(unproxied):
    """Claude Code's telemetry has absolute paths, and neither the file before a change nor whether it existed."""
    scripted = [event for call in unproxied.script.calls() for event in call.outcome if event.kind in CHANGES]
    events, folder = counted(unproxied, *CHANGES), unproxied.scenario.workspace.folder
    paths = [event["data"]["path"].removeprefix(f"{folder}/") for event in events]
    assert paths == (
        [] if unproxied.scenario.tool == "opencode" else [event.data["path"] for event in scripted]
    )
    if unproxied.scenario.tool == "codex":
        reported = [(event["kind"], count_lines(event["data"])) for event in events]
        assert reported == [(event.kind, count_lines(event.data)) for event in scripted]
    metrics = unproxied.repeated["metrics"]
    assert (metrics["fileChangeCount"], metrics["uniqueFilesTouched"]) == (len(paths), len(set(paths)))


def test_tokens_and_cost_count_once(unproxied):
    metrics = unproxied.repeated["metrics"]
    if unproxied.scenario.tool == "opencode":
        assert (metrics["tokens"], metrics["totalCostUsd"]) == ({}, None)
        return
    served = unproxied.served
    (model,) = {call.model for call in served}
    assert metrics["tokens"] == {
        model: {
            "input": sum(call.usage.input for call in served),
            "output": sum(call.usage.output for call in served),
            "cacheRead": sum(call.usage.cache_read for call in served),
            "cacheWrite": sum(call.usage.cache_write for call in served),
        }
    }
    cost = sum(cost_nano_usd(call.model, call.usage) for call in served)
    assert round(metrics["totalCostUsd"] * BILLION) == cost


def test_claude_codes_responses_count_once(unproxied):
    """Codex reports only tokens, without a request id."""
    responses = [event["data"] for event in counted(unproxied, *expected.RESPONSES)]
    usage = {data["requestId"]: data for data in responses if "inputTokens" in data and "requestId" in data}
    texts = [data["lastAssistantMessage"] for data in responses if "lastAssistantMessage" in data]
    if unproxied.scenario.tool != "claude-code":
        assert (usage, texts) == ({}, [])
        return
    steps = unproxied.scenario.conversation
    assert texts == [step.text for step in steps if isinstance(step, Answer) and step.text]
    assert usage.keys() == {call.request_id for call in unproxied.served}
    for call in unproxied.served:
        sent = expected.usage_of(call)
        assert {name: usage[call.request_id][name] for name in sent} == pytest.approx(sent)
