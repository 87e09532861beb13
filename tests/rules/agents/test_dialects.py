"""Promises of all dialects: each prompt, answer, call and outcome is one event, however often it is sent."""

from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import pytest

from rules.agents.model_apis import anthropic_messages, chat_completions, openai_responses
from rules.events.recorded_events import ResponseUsage
from tests.rules.agents import completions, messages, responses_items

USAGE = {"input": 12, "output": 34, "cacheRead": 5}
FACTS = ResponseUsage("req_1", "model-1", USAGE, 1_500_000, 80, 900)


class Dialect(NamedTuple):
    """A conversation in a dialect.

    headers -- of its agent, and of a subagent
    agent -- the agent of these headers
    tool -- a tool that runs a command, and the name of its argument
    call -- an answer with a call
    outcome -- the result of a call; `ran` of a command
    read -- the request of headers and a body
    live -- the whole response with a text; `broken` the start of one; `document` one that was not streamed
    title -- what a request for a title, or another call that is not the conversation, has
    """

    module: Any
    headers: dict[str, str]
    subagent: dict[str, str]
    agent: tuple
    tool: tuple[str, str]
    user: Callable
    assistant: Callable
    call: Callable
    outcome: Callable
    ran: Callable
    request: Callable
    live: Callable
    broken: list[Any]
    document: Callable
    title: dict[str, Any]


def collected(module, *parts):
    response = module.Response()
    for part in parts:
        response.add(part)
    return response


def answer_with_call(assistant, call):
    return lambda text, *named, **arguments: [assistant(text, call(*named, **arguments))]


MESSAGES = Dialect(
    module=anthropic_messages,
    headers=messages.HEADERS,
    subagent=messages.HEADERS | {"x-claude-code-agent-id": "child"},
    agent=("claude-code", "2.1.197", messages.SESSION),
    tool=("Bash", "command"),
    user=messages.user,
    assistant=messages.assistant,
    call=answer_with_call(messages.assistant, messages.call),
    outcome=lambda *named: messages.user(messages.result(*named)),
    ran=lambda *named: messages.user(messages.result(*named)),
    request=messages.request,
    live=messages.response,
    broken=[
        {"type": "message_start", "message": {"id": "msg_1", "model": "model-1"}},
        {"type": "content_block_start", "index": 0, "content_block": messages.text("")},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I lo"}},
    ],
    document=lambda text: {"type": "message", "id": "msg_1", "content": [messages.text(text)]},
    title={
        "tools": [],
        "system": [messages.text("You help."), messages.text("Generate a title for the session.")],
    },
)
RESPONSES = Dialect(
    module=openai_responses,
    headers=responses_items.HEADERS,
    subagent=responses_items.HEADERS | {"thread-id": "child", "x-openai-subagent": "collab_spawn"},
    agent=("codex", "0.169.0", responses_items.SESSION),
    tool=("exec_command", "cmd"),
    user=responses_items.user,
    assistant=responses_items.assistant,
    call=lambda text, *named, **data: [responses_items.assistant(text), responses_items.call(*named, **data)],
    outcome=responses_items.result,
    ran=responses_items.ended,
    request=responses_items.request,
    live=lambda text: responses_items.response(responses_items.assistant(text)),
    broken=[
        {"type": "response.created", "response": {"id": "resp_1"}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "I lo"},
    ],
    document=lambda text: {"object": "response", "output": [responses_items.assistant(text)]},
    title={"headers": {}, "input": "Hi", "tools": [], "max_output_tokens": 16},
)
COMPLETIONS = Dialect(
    module=chat_completions,
    headers=completions.HEADERS,
    subagent=completions.HEADERS | {"x-session-id": "child", "x-parent-session-id": completions.SESSION},
    agent=("opencode", "1.18.33", completions.SESSION),
    tool=("bash", "command"),
    user=completions.user,
    assistant=completions.assistant,
    call=answer_with_call(completions.assistant, completions.call),
    outcome=completions.result,
    ran=completions.result,
    request=completions.request,
    live=lambda text: completions.response(completions.chunk(content=text), chat_completions.DONE),
    broken=[completions.chunk(content="I lo")],
    document=lambda text: {"choices": [{"index": 0, "message": completions.assistant(text)}]},
    title={"messages": [completions.user("Generate a title for this conversation:\n")], "tools": []},
)


@pytest.fixture(params=[MESSAGES, RESPONSES, COMPLETIONS], ids=["messages", "responses", "completions"])
def dialect(request):
    return request.param


def kinds(events):
    return [event.kind for event in events]


def identities(request):
    return [(event.kind, event.identity, event.index) for turn in request.turns() for event in turn]


def conversation(dialect):
    """A prompt, an answer with a command, and its outcome."""
    tool, argument = dialect.tool
    run = dialect.call("I look.", "call_1", tool, **{argument: "ls"})
    return [dialect.user("Fix it."), *run, dialect.ran("call_1", "a.py\n")]


def test_the_agent_and_its_session_are_read_from_the_headers(dialect):
    assert dialect.request(dialect.user("Hi")).agent == (*dialect.agent, None)
    assert dialect.request(dialect.user("Hi"), headers=dialect.subagent).agent == (*dialect.agent, "child")
    assert dialect.request(dialect.user("Hi"), headers={}).agent[:2] == (None, None)


def test_a_turn_has_the_response_its_calls_their_outcomes_and_the_next_prompt(dialect):
    latest, first = dialect.request(*conversation(dialect), dialect.user("Go on.")).turns()
    assert [(event.kind, event.data) for event in first] == [("prompt", {"text": "Fix it."})]
    assert kinds(latest) == ["ai_response", "tool_intent", "command", "prompt"]
    answer, intent, command, prompt = (event.data for event in latest)
    tool, argument = dialect.tool
    preview = f'{{"{argument}": "ls"}}'
    assert answer == {"lastAssistantMessage": "I look."}
    assert intent == {"toolName": tool, "inputPreview": preview, "toolUseId": "call_1"}
    assert (command["command"], command["stdout"].strip(), command["toolUseId"]) == ("ls", "a.py", "call_1")
    assert prompt == {"text": "Go on."}


def test_a_response_has_its_text_and_usage(dialect):
    live = dialect.live("I look.")
    (answer,) = live.events(dialect.request(dialect.user("Fix it.")), FACTS)
    assert live.is_complete
    assert (answer.kind, answer.data) == (
        "ai_response",
        {
            "lastAssistantMessage": "I look.", "model": "model-1", "requestId": "req_1", "usageScope": "request",
            "inputTokens": 12, "outputTokens": 34, "cacheReadTokens": 5, "totalCost": 0.0015, "firstTokenMs": 80,
            "turnDurationMs": 900,
        },
    )  # fmt: skip


def test_a_document_is_a_response(dialect):
    document = collected(dialect.module, dialect.document("Done."))
    (answer,) = document.events(dialect.request(dialect.user("Fix it.")), FACTS)
    assert (document.is_complete, answer.data["lastAssistantMessage"]) == (True, "Done.")


def test_a_broken_stream_gives_what_came(dialect):
    broken = collected(dialect.module, *dialect.broken)
    (answer,) = broken.events(dialect.request(dialect.user("Fix it.")), FACTS)
    assert (broken.is_complete, answer.data["lastAssistantMessage"]) == (False, "I lo")


def test_a_response_is_the_same_event_in_the_next_request(dialect):
    earlier = [dialect.user("One."), dialect.assistant("First."), dialect.user("Two.")]
    (live,) = dialect.live("Done.").events(dialect.request(*earlier), FACTS)
    later = dialect.request(*earlier, dialect.assistant("Done."), dialect.user("Three."))
    assert (live.kind, live.identity, live.index) == identities(later)[0]


def test_the_same_prompt_and_answer_three_times_are_three_of_each(dialect):
    history = [dialect.user("Go on."), dialect.assistant("Done.")] * 3
    found = identities(dialect.request(*history))
    assert len(found) == len(set(found)) == 6
    assert set(identities(dialect.request(*history[:-1]))) < set(found)


def test_a_resumed_conversation_has_the_same_events(dialect):
    history = [*conversation(dialect), dialect.assistant("Done."), dialect.user("More.")]
    first = identities(dialect.request(*history))
    resumed = identities(dialect.request(*history, dialect.assistant("Yes."), dialect.user("Even more.")))
    assert resumed[-len(first) :] == first


def test_a_subagent_has_no_prompts_and_its_responses_no_text(dialect):
    task = dialect.request(*conversation(dialect), headers=dialect.subagent)
    events = [event for turn in task.turns() for event in turn]
    assert kinds(events) == ["tool_intent", "command"]
    assert {event.agent_id for event in events} == {"child"}
    (usage,) = dialect.live("Two lines.").events(task, FACTS)
    assert (usage.kind, usage.agent_id) == ("subagent_usage", "child")
    assert "lastAssistantMessage" not in usage.data


def test_a_title_gives_usage_only(dialect):
    title = dialect.request(dialect.user("Fix it."), **dialect.title)
    assert list(title.turns()) == []
    (usage,) = dialect.live("A title").events(title, FACTS)
    assert (usage.kind, usage.data["outputTokens"]) == ("subagent_usage", 34)
    assert "lastAssistantMessage" not in usage.data


def test_an_unknown_tool_gives_generic_events(dialect):
    call = dialect.call("I look.", "call_1", "peek", at=1)
    some = [dialect.user("Fix it."), *call, dialect.outcome("call_1", "fine")]
    unknown = dialect.request(*some, headers={"user-agent": "some-tool/1.0"})
    latest, first = unknown.turns()
    assert kinds(first) == ["prompt"]
    assert kinds(latest) == ["ai_response", "tool_intent", "tool_use"]
    assert latest[2].data == {
        "toolName": "peek", "inputPreview": '{"at": 1}', "ok": True, "toolUseId": "call_1"
    }  # fmt: skip
    assert unknown.agent == dialect.request(*some[:1], headers={}).agent
    assert unknown.agent.tool is None


VALUES = [
    None, True, 7, -1, 1.5, "", "text", "\ud800", [], [[]], [None], {}, {"role": 7}, {"role": "assistant"},
    {"type": 7}, {"type": "text"}, {"type": "message"}, {"type": "a_call", "id": {}}, {"index": "x"},
]  # fmt: skip
NAMES = (
    *("type", "role", "content", "text", "id", "name", "input", "output", "action", "call_id", "arguments"),
    *("tool_use_id", "tool_call_id", "tool_calls", "function", "encrypted_content", "index", "delta"),
)
BODY = (
    "messages",
    "input",
    "system",
    "tools",
    "functions",
    "instructions",
    "metadata",
    "max_tokens",
    "model",
)
TYPES = (
    *("message", "text", "tool_use", "tool_result", "function_call", "function_call_output", "compaction"),
    *("web_search_call", "reasoning"),
)
PARTS = (
    *("message_start", "content_block_start", "content_block_delta", "message", "response.completed"),
    *("response.output_item.done", "response.output_text.delta", "response.created"),
)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_of_any_type_raise_nothing(dialect, value):
    blocks = [value, *({"type": kind, name: value} for kind in (*TYPES, value) for name in NAMES)]
    said = [
        {"role": role, "content": value, name: value}
        for role in ("user", "assistant", "tool")
        for name in NAMES
    ]
    said += [{"role": role, "content": blocks, "tool_calls": blocks} for role in ("user", "assistant", value)]
    bodies = [{name: value} for name in BODY]
    bodies += [
        {"messages": each, "input": each, "tools": [value], "system": [value]} for each in (blocks, said)
    ]
    parts = [
        value,
        {"choices": value},
        {"choices": [value]},
        completions.chunk(content=value, tool_calls=value),
    ]
    parts += [completions.chunk(tool_calls=[value, {"index": value, "id": value, "function": value}])]
    for kind in PARTS:
        named = ({"type": kind, "index": 0, name: value} for name in (*NAMES, "message", "response", "item"))
        parts += [
            *named,
            {"type": kind, "index": 0, "content_block": value, "item": value, "output_index": value},
        ]
    for body in bodies:
        for headers in ({}, dialect.headers):
            read = dialect.module.read_request(headers, body)
            turns = list(read.turns())
            assert all(isinstance(event.data, dict) for event in chain(*turns))
    assert collected(dialect.module, *parts).events(read, FACTS) is not None
