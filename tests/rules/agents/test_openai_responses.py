"""OpenAI's Responses API: each prompt, answer and call is one event, however often it is sent."""

import time

import pytest

from rules.agents.model_apis import openai_responses
from tests.rules.agents.responses_items import (
    FACTS,
    HEADERS,
    SUMMARY,
    assistant,
    call,
    context,
    ended,
    identities,
    outcomes,
    request,
    response,
    stream,
    user,
)

THREAD = "7d2a51c0-0000-4000-8000-000000000002"
SUBAGENT = HEADERS | {"thread-id": THREAD, "x-openai-subagent": "collab_spawn"}
RUN = [call("call_1", "exec_command", cmd="ls"), ended("call_1", "a.py\n")]


def kinds(events):
    return [event.kind for event in events]


def test_a_string_is_a_prompt():
    [[prompt]] = request(input="Fix it.").turns()
    assert (prompt.kind, prompt.data) == ("prompt", {"text": "Fix it."})


def test_a_response_gives_its_text_usage_and_calls():
    sent = response(assistant("I look."), RUN[0])
    answer, intent = sent.events(request(user("Fix it.")), FACTS)
    assert sent.is_complete
    assert answer.kind == "ai_response"
    assert answer.data == {
        "lastAssistantMessage": "I look.",
        "model": "model-1",
        "requestId": "req_1",
        "usageScope": "request",
        "inputTokens": 12,
        "outputTokens": 34,
        "cacheReadTokens": 5,
        "totalCost": 0.0015,
        "firstTokenMs": 80,
        "turnDurationMs": 900,
    }
    assert (intent.kind, intent.data["toolUseId"]) == ("tool_intent", "call_1")


@pytest.mark.parametrize(
    "items", [[assistant("Done.")], [assistant("I look."), RUN[0]], [RUN[0]]], ids=["text", "both", "call"]
)
def test_a_response_is_the_same_in_the_next_request(items):
    history = [user("Fix it.")]
    live = response(*items).events(request(*history), FACTS)
    latest = next(iter(request(*history, *items, user("Go on.")).turns()))
    restored = [event for event in latest if event.kind in ("ai_response", "tool_intent")]
    assert {(event.kind, event.identity) for event in restored} <= {
        (event.kind, event.identity) for event in live
    }


def test_a_compacted_conversation_repeats_no_prompt():
    before = request(user("First."), assistant("I look."), *RUN)
    after = request(user("First."), user(SUMMARY), user("Second."))
    assert [data["text"] for kind, data in outcomes(user("First."), user(SUMMARY), user("Second."))] == [
        "Second."
    ]
    assert not set(identities(before)) & set(identities(after))
    encrypted = {"type": "compaction", "encrypted_content": "c2VjcmV0"}
    assert [data for _, data in outcomes(user("First."), encrypted, user("Second."))] == [{"text": "Second."}]


def test_a_call_that_asks_for_a_summary_gives_the_outcomes_before_it_and_usage():
    asked = user("You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary.")
    compaction = request(user("First."), *RUN, asked, tools=[])
    assert [kind for kind, _ in outcomes(user("First."), *RUN, asked, tools=[])] == ["prompt", "command"]
    [usage] = response(assistant("A summary.")).events(compaction, FACTS)
    assert (usage.kind, usage.data["sidechain"]) == ("subagent_usage", True)
    assert "lastAssistantMessage" not in usage.data


def test_a_subagent_that_inherits_the_conversation_repeats_nothing():
    history = [user("Fix it."), assistant("I look."), *RUN]
    inherited = identities(request(*history, headers=SUBAGENT))
    assert inherited
    assert set(inherited) < set(identities(request(*history)))


def test_an_unknown_tools_session_is_the_one_of_its_first_prompt():
    headers = {"user-agent": "some-tool/1.0"}
    system = {"role": "developer", "content": "You help."}
    sessions = [
        openai_responses.read_request(headers, {"input": [system, *items]}).agent.session
        for items in ([user("One.")], [user("One."), assistant("Yes."), user("More.")], [user("Two.")])
    ]
    assert sessions[0] == sessions[1] != sessions[2]


def test_text_parts_and_the_whole_text_are_one_text():
    collected = openai_responses.Response()
    first, *rest = stream(assistant("I look."))
    for part in (first, {"type": "response.output_text.delta", "output_index": 0, "delta": "I lo"}, *rest):
        collected.add(part)
    [answer] = collected.events(request(user("Fix it.")), FACTS)
    assert answer.data["lastAssistantMessage"] == "I look."


def test_items_need_no_index():
    collected = openai_responses.Response()
    items = [assistant("I look."), call("call_1", "exec_command", cmd="ls")]
    for item in items:
        collected.add({"type": "response.output_item.done", "item": item})
    collected.add({"type": "response.completed", "response": {"id": "resp_1", "output": items}})
    answer, intent = collected.events(request(user("Fix it.")), FACTS)
    assert answer.data["lastAssistantMessage"] == "I look."
    assert intent.data["toolUseId"] == "call_1"


def test_tools_of_the_provider_have_their_result_in_the_call():
    search = {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "flask"}}
    server = {"type": "mcp_call", "id": "mcp_1", "server_label": "docs", "name": "find", "arguments": "{}"}
    found = outcomes(user("Fix it."), search, server, assistant("Found."))
    assert found[1:] == [
        ("web_lookup", {"toolUseId": "ws_1", "toolName": "web_search", "query": "flask"}),
        ("mcp_call", {"toolUseId": "mcp_1", "tool": "mcp__docs__find", "argsPreview": "{}"}),
    ]


def test_deeply_nested_arguments_raise_nothing():
    nested = call("call_1", "exec_command") | {"arguments": "[" * 100_000}
    assert [kind for kind, _ in outcomes(nested, ended("call_1"))] == ["tool_use"]


def test_only_the_end_of_a_long_conversation_is_read():
    class Items(list):
        reads = 0

        def __getitem__(self, index):
            Items.reads += 1
            return super().__getitem__(index)

    steps = (
        item
        for number in range(2_500)
        for item in (call(f"call_{number}", "exec_command", cmd="ls"), ended(f"call_{number}"))
    )
    items = Items([context(), user("Fix it."), *steps])
    start = time.process_time()
    latest = next(openai_responses.read_request(HEADERS, {"input": items, "tools": []}).turns())
    assert kinds(latest) == ["tool_intent", "command"]
    assert Items.reads < 50
    assert time.process_time() - start < 0.1
