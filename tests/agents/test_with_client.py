"""Recorded model calls do not change the metrics of a session with the candidate's client (R36)."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from independent_metrics import BILLION, recompute

from tests.agents.recording import read_session
from tests.agents.script import Answer, Call, Prompt
from tests.live.cast import agree_to_recording, give_consent, make_assessment, make_keys
from tests.live.scripted_client import Cli
from tests.rules.agents import messages

PROMPT = "Why does the test fail?"
CALL = Call("Bash", {"command": "make test"})
CONVERSATION = [Prompt(PROMPT), Answer("I'll run it.", CALL), Answer("add() subtracts.")]
AGENT = {"User-Agent": "claude-cli/2.1.197 (external, cli)", "X-Claude-Code-Session-Id": "3f0c0d6e-made-up"}


@pytest.fixture
def cli(service, provider, reviewer, tmp_path):
    """The client with an open session, after it showed its own disclosure."""
    provider.play("client", CONVERSATION)
    (key,) = make_keys(reviewer, make_assessment(reviewer), 1)
    cli = Cli(service.port, key["key"], tmp_path)
    give_consent(service, key["key"])
    cli.redeem()
    return cli


def test_models_require_a_signed_event_if_the_client_showed_its_own_disclosure(cli):
    with pytest.raises(AssertionError, match="consent_required"):
        call_model(cli)
    assert cli.send(cli.event("session_start", {}, "cli")).status == 201
    call_model(cli)


def test_model_calls_do_not_change_the_metrics_of_a_session_with_the_client(service, cli, reviewer):
    agree_to_recording(service, cli.key)
    with ThreadPoolExecutor(1) as thread:
        calls = thread.submit(call_model, cli)
        sent = work(cli)
        calls.result()
    cli.complete()
    session, recomputed = read_session(reviewer, cli.session_id), recompute(sent)
    recorded = [
        event for event in session["events"] if "proxy" in event.get("provenance", {}).get("methods", [])
    ]
    kinds = [event["kind"] for event in recorded if event["kind"] != "context"]
    assert kinds == ["prompt", "ai_response", "tool_intent", "command", "ai_response"]
    assert len(session["events"]) == len(sent) + len(recorded)
    assert session["eventCount"] == len(sent)
    metrics = session["metrics"]
    integers = ("durationMs", "promptCount", "commandCount", "fileChangeCount", "errorEpisodes", "toolUsage")
    assert {name: metrics[name] for name in integers} == {name: recomputed[name] for name in integers}
    assert metrics["commandFailRate"] == recomputed["commandFailRate"] / BILLION == 0.5
    assert metrics["totalCostUsd"] is None or metrics["totalCostUsd"] == 0


def work(cli):
    """Send the events that the client's hooks report for the same work; return them."""
    sent = []
    for kind, data in (
        ("prompt", {"text": PROMPT}),
        ("command", {"command": "make test", "exitCode": 1}),
        ("file_diff", {"path": "calc.py", "diff": "-1\n+2\n", "linesAdded": 1, "linesRemoved": 1}),
        ("command", {"command": "make test", "exitCode": 0}),
    ):
        sent.append(cli.event(kind, data, "terminal"))
        assert cli.send(sent[-1]).status == 201
    return sent


def call_model(cli):
    """Make the conversation's model calls like Claude Code, each with the complete history."""
    history = [messages.user(PROMPT)]
    send(cli, history)
    history.append(messages.assistant("I'll run it.", messages.call(CALL.id, CALL.name, **CALL.arguments)))
    history.append(messages.user(messages.result(CALL.id, "Exit code 1\nFAILED", is_error=True)))
    send(cli, history)


def send(cli, history):
    body = {"model": "claude-opus-4-8", "max_tokens": 1000, "stream": True, "messages": history}
    body["tools"] = messages.TOOLS
    headers = AGENT | {"X-API-Key": cli.key}
    response = cli.call(
        "POST", "/v1/proxy/anthropic/v1/messages", body, token=False, version=False, headers=headers
    )
    assert response.status == 200, response.text
    assert json.dumps("message_stop").encode() in response.text
