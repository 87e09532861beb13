"""OpenAI's Responses API, as used by Codex and unknown tools."""

from itertools import chain

import pytest

from rules.agents.model_apis import openai_responses
from tests.rules.agents.messages import USAGE, identities, turns
from tests.rules.agents.responses_items import (
    HEADERS,
    SUMMARY,
    assistant,
    call,
    command_result,
    outcomes,
    request,
    response,
    stream,
    user,
)

SUBAGENT = HEADERS | {"thread-id": "child", "x-openai-subagent": "collab_spawn"}
RUN = [call("call_1", "exec_command", cmd="ls"), command_result("call_1", "a.py\n")]


def test_string_input_is_a_prompt():
    [prompt] = request(input="Fix it.").latest_events()
    assert (prompt.kind, prompt.data) == ("prompt", {"text": "Fix it."})


@pytest.mark.parametrize(
    "items",
    [[assistant("Let me look."), RUN[0]], [RUN[0]]],
    ids=["text and call", "call"],
)
def test_a_response_is_the_same_event_in_the_next_request(items):
    history = [user("Fix it.")]
    live = response(*items).events(request(*history), USAGE)
    latest = request(*history, *items, user("Go on.")).latest_events()
    restored = [event for event in latest if event.kind in ("ai_response", "tool_intent")]
    assert restored
    assert set(identities(restored)) <= set(identities(live))


@pytest.mark.parametrize(
    "summary",
    [user(SUMMARY), {"type": "compaction", "encrypted_content": "c2VjcmV0"}],
    ids=["text", "encrypted"],
)
def test_a_compacted_conversation_does_not_repeat_prompts(summary):
    assert outcomes(user("First."), summary, user("Second.")) == [("prompt", {"text": "Second."})]


def test_a_request_for_a_summary_records_earlier_outcomes_and_usage():
    asked = user("You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary.")
    compaction = request(user("First."), *RUN, asked, tools=[])
    assert [kind for kind, _ in outcomes(user("First."), *RUN, asked, tools=[])] == ["prompt", "command"]
    [usage] = response(assistant("A summary.")).events(compaction, USAGE)
    assert (usage.kind, usage.data["sidechain"]) == ("subagent_usage", True)
    assert "lastAssistantMessage" not in usage.data


def test_a_subagent_that_inherits_the_conversation_does_not_repeat_events():
    history = [user("Fix it."), assistant("Let me look."), *RUN]
    inherited = identities(chain(*turns(request(*history, headers=SUBAGENT))))
    assert inherited
    assert set(inherited) < set(identities(chain(*turns(request(*history)))))


def test_the_first_prompt_identifies_an_unknown_tools_session():
    headers = {"user-agent": "some-tool/1.0"}
    system = {"role": "developer", "content": "You help."}
    sessions = [
        openai_responses.read_request(headers, {"input": [system, *items]}).agent.session
        for items in ([user("One.")], [user("One."), assistant("Yes."), user("More.")], [user("Two.")])
    ]
    assert sessions[0] == sessions[1] != sessions[2]


def test_streamed_parts_do_not_repeat_the_complete_text():
    streamed = openai_responses.Response()
    first, *rest = stream(assistant("Let me look."))
    for part in (
        first,
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Let me lo"},
        *rest,
    ):
        streamed.add(part)
    [answer] = streamed.events(request(user("Fix it.")), USAGE)
    assert answer.data["lastAssistantMessage"] == "Let me look."


def test_item_index_is_optional():
    streamed = openai_responses.Response()
    items = [assistant("Let me look."), call("call_1", "exec_command", cmd="ls")]
    for item in items:
        streamed.add({"type": "response.output_item.done", "item": item})
    streamed.add({"type": "response.completed", "response": {"id": "resp_1", "output": items}})
    answer, intent = streamed.events(request(user("Fix it.")), USAGE)
    assert answer.data["lastAssistantMessage"] == "Let me look."
    assert intent.data["toolUseId"] == "call_1"


def test_calls_to_hosted_tools_include_the_result():
    search = {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "flask"}}
    server = {"type": "mcp_call", "id": "mcp_1", "server_label": "docs", "name": "find", "arguments": "{}"}
    _prompt, *calls = outcomes(user("Fix it."), search, server, assistant("Found."))
    assert calls == [
        ("web_lookup", {"toolUseId": "ws_1", "toolName": "web_search", "query": "flask"}),
        ("mcp_call", {"toolUseId": "mcp_1", "tool": "mcp__docs__find", "argsPreview": "{}"}),
    ]


def test_deeply_nested_arguments_do_not_raise():
    nested = call("call_1", "exec_command") | {"arguments": "[" * 100_000}
    assert [kind for kind, _ in outcomes(nested, command_result("call_1"))] == ["tool_use"]
