"""Known agents: recognition by headers, and a minimal new agent (rules/agents/README.md)."""

import re

import pytest

from rules.agents.known_agents import recognize
from rules.agents.model_apis.conversation import Conversation
from rules.agents.tools import Outcome, Tool, ToolTable
from rules.agents.unknown_agent import Agent, UnknownAgent
from tests.rules.agents.messages import assistant, call, result, user


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"user-agent": "node", "x-claude-code-session-id": "s"}, "claude-code"),
        ({"user-agent": "codex_cli_rs/0.169.0 (Linux)"}, "codex"),
        ({"originator": "codex_exec"}, "codex"),
        ({"user-agent": "curl/8.5.0"}, None),
    ],
)
def test_agents_are_recognized_by_their_headers(headers, name):
    assert recognize(headers).name == name


def run(outcome: Outcome) -> list[dict]:
    return [{"command": outcome.arguments["script"], "stdout": outcome.result}]


class Example(UnknownAgent):
    name = "example"
    user_agent = re.compile(r"example/([\w.]+)")
    tools = ToolTable({"run": Tool("command", run)})


def test_an_agent_needs_a_name_a_user_agent_and_a_table():
    headers = {"user-agent": "example/1.2", "session-id": "s1"}
    messages = [
        user("Test it."),
        assistant(call("c1", "run", script="make"), call("c2", "run", script="x"), call("c3", "other")),
        user(result("c1", "2 passed"), result("c2", "Denied", True), result("c3", "Done")),
    ]
    conversation = Conversation({"messages": messages}, Example(), None)
    events = [event for turn in conversation.turns() for event in conversation.events(turn)]

    assert Example().recognizes(headers)
    assert Example().identify(headers, {}) == Agent("example", "1.2", "s1")
    assert [event.data for event in events if event.kind == "prompt"] == [{"text": "Test it."}]
    outcomes = {
        event.data["toolUseId"]: (event.kind, event.data.get("command"), event.data.get("ok"))
        for event in events
        if event.kind in ("command", "tool_use")
    }
    assert outcomes == {
        "c1": ("command", "make", None),
        "c2": ("tool_use", None, False),
        "c3": ("tool_use", None, True),
    }
