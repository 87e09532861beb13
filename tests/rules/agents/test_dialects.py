"""All dialects: a prompt, answer, call or outcome is recorded once, however often it is sent."""

from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import pytest

from rules.agents.model_apis import anthropic_messages, chat_completions, openai_responses
from tests.rules.agents import completions, messages, responses_items
from tests.rules.agents.messages import USAGE, identities, turns


class Dialect(NamedTuple):
    """Builds conversations in a dialect.

    subagent -- a subagent's headers
    tool -- a tool that runs a command, and the name of its argument
    call -- builds an answer with a call
    response, document -- a complete response, and the data of a response that is not streamed
    partial_stream -- the start of a stream
    title -- fields of a request for a title
    """

    module: Any
    headers: dict[str, str]
    subagent: dict[str, str]
    agent: tuple
    tool: tuple[str, str]
    user: Callable
    assistant: Callable
    call: Callable
    result: Callable
    command_result: Callable
    request: Callable
    response: Callable
    partial_stream: list[Any]
    document: Callable
    title: dict[str, Any]


def accumulate(module, *parts):
    response = module.Response()
    for part in parts:
        response.add(part)
    return response


def answer_with_call(assistant, call):
    return lambda text, *args, **arguments: [assistant(text, call(*args, **arguments))]


MESSAGES = Dialect(
    module=anthropic_messages,
    headers=messages.HEADERS,
    subagent=messages.HEADERS | {"x-claude-code-agent-id": "child"},
    agent=("claude-code", "2.1.197", messages.SESSION),
    tool=("Bash", "command"),
    user=messages.user,
    assistant=messages.assistant,
    call=answer_with_call(messages.assistant, messages.call),
    result=lambda *args: messages.user(messages.result(*args)),
    command_result=lambda *args: messages.user(messages.result(*args)),
    request=messages.request,
    response=messages.response,
    partial_stream=[
        {"type": "message_start", "message": {"id": "msg_1", "model": "model-1"}},
        {"type": "content_block_start", "index": 0, "content_block": messages.text("")},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Let me lo"}},
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
    call=lambda text, *args, **data: [responses_items.assistant(text), responses_items.call(*args, **data)],
    result=responses_items.result,
    command_result=responses_items.command_result,
    request=responses_items.request,
    response=lambda text: responses_items.response(responses_items.assistant(text)),
    partial_stream=[
        {"type": "response.created", "response": {"id": "resp_1"}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Let me lo"},
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
    result=completions.result,
    command_result=completions.result,
    request=completions.request,
    response=lambda text: completions.response(completions.chunk(content=text), chat_completions.DONE),
    partial_stream=[completions.chunk(content="Let me lo")],
    document=lambda text: {"choices": [{"index": 0, "message": completions.assistant(text)}]},
    title={"messages": [completions.user("Generate a title for this conversation:\n")], "tools": []},
)


@pytest.fixture(params=[MESSAGES, RESPONSES, COMPLETIONS], ids=["messages", "responses", "completions"])
def dialect(request):
    return request.param


def kinds(events):
    return [event.kind for event in events]


def request_identities(request):
    return identities(chain(*turns(request)))


def conversation(dialect):
    """Return a prompt, an answer with a command, and the command's outcome."""
    tool, argument = dialect.tool
    run = dialect.call("Let me look.", "call_1", tool, **{argument: "ls"})
    return [dialect.user("Fix it."), *run, dialect.command_result("call_1", "a.py\n")]


def test_agent_and_session_are_read_from_the_headers(dialect):
    assert dialect.request(dialect.user("Hi")).agent == (*dialect.agent, None)
    assert dialect.request(dialect.user("Hi"), headers=dialect.subagent).agent == (*dialect.agent, "child")
    assert dialect.request(dialect.user("Hi"), headers={}).agent[:2] == (None, None)


def test_a_turn_contains_the_response_its_calls_and_the_next_prompt(dialect):
    latest, first = turns(dialect.request(*conversation(dialect), dialect.user("Go on.")))
    assert [(event.kind, event.data) for event in first] == [("prompt", {"text": "Fix it."})]
    assert kinds(latest) == ["ai_response", "tool_intent", "command", "prompt"]
    answer, intent, command, prompt = (event.data for event in latest)
    tool, argument = dialect.tool
    preview = f'{{"{argument}": "ls"}}'
    assert answer == {"lastAssistantMessage": "Let me look."}
    assert intent == {"toolName": tool, "inputPreview": preview, "toolUseId": "call_1"}
    assert (command["command"], command["stdout"].strip(), command["toolUseId"]) == ("ls", "a.py", "call_1")
    assert prompt == {"text": "Go on."}


def test_response_includes_text_and_usage(dialect):
    live = dialect.response("Let me look.")
    (answer,) = live.events(dialect.request(dialect.user("Fix it.")), USAGE)
    assert live.is_complete
    assert (answer.kind, answer.data) == (
        "ai_response",
        {
            "lastAssistantMessage": "Let me look.", "model": "model-1", "requestId": "req_1", "usageScope": "request",
            "inputTokens": 12, "outputTokens": 34, "cacheReadTokens": 5, "totalCost": 0.0015, "firstTokenMs": 80,
            "turnDurationMs": 900,
        },
    )  # fmt: skip


def test_response_without_streaming_includes_text(dialect):
    document = accumulate(dialect.module, dialect.document("Done."))
    (answer,) = document.events(dialect.request(dialect.user("Fix it.")), USAGE)
    assert (document.is_complete, answer.data["lastAssistantMessage"]) == (True, "Done.")


def test_broken_stream_records_the_received_text(dialect):
    response = accumulate(dialect.module, *dialect.partial_stream)
    (answer,) = response.events(dialect.request(dialect.user("Fix it.")), USAGE)
    assert (response.is_complete, answer.data["lastAssistantMessage"]) == (False, "Let me lo")


def test_a_response_is_the_same_event_in_the_next_request(dialect):
    earlier = [dialect.user("One."), dialect.assistant("First."), dialect.user("Two.")]
    (live,) = dialect.response("Done.").events(dialect.request(*earlier), USAGE)
    later = dialect.request(*earlier, dialect.assistant("Done."), dialect.user("Three."))
    assert (live.kind, live.identity, live.index) == request_identities(later)[0]


def test_repeated_prompts_and_answers_are_separate_events(dialect):
    history = [dialect.user("Go on."), dialect.assistant("Done.")] * 3
    recorded = request_identities(dialect.request(*history))
    assert len(recorded) == len(set(recorded)) == 6
    assert set(request_identities(dialect.request(*history[:-1]))) < set(recorded)


def test_a_resumed_conversation_has_the_same_events(dialect):
    history = [*conversation(dialect), dialect.assistant("Done."), dialect.user("More.")]
    first = request_identities(dialect.request(*history))
    resumed = request_identities(
        dialect.request(*history, dialect.assistant("Yes."), dialect.user("Even more."))
    )
    assert resumed[-len(first) :] == first


def test_a_subagents_prompts_and_answers_are_not_recorded(dialect):
    task = dialect.request(*conversation(dialect), headers=dialect.subagent)
    events = list(chain(*turns(task)))
    assert kinds(events) == ["tool_intent", "command"]
    assert {event.agent_id for event in events} == {"child"}
    (usage,) = dialect.response("Two lines.").events(task, USAGE)
    assert (usage.kind, usage.agent_id) == ("subagent_usage", "child")
    assert "lastAssistantMessage" not in usage.data


def test_a_title_request_records_only_usage(dialect):
    title = dialect.request(dialect.user("Fix it."), **dialect.title)
    assert title.latest_events() == []
    (usage,) = dialect.response("A title").events(title, USAGE)
    assert (usage.kind, usage.data["outputTokens"]) == ("subagent_usage", 34)
    assert "lastAssistantMessage" not in usage.data


def test_unknown_agents_produce_generic_events(dialect):
    call = dialect.call("Let me look.", "call_1", "peek", at=1)
    messages = [dialect.user("Fix it."), *call, dialect.result("call_1", "fine")]
    unknown = dialect.request(*messages, headers={"user-agent": "some-tool/1.0"})
    latest, first = turns(unknown)
    assert kinds(first) == ["prompt"]
    assert kinds(latest) == ["ai_response", "tool_intent", "tool_use"]
    assert latest[2].data == {
        "toolName": "peek", "inputPreview": '{"at": 1}', "ok": True, "toolUseId": "call_1"
    }  # fmt: skip
    assert unknown.agent == dialect.request(*messages[:1], headers={}).agent
    assert unknown.agent.tool is None


VALUES = [
    None, True, 7, -1, 1.5, "", "text", "\ud800", [], [[]], [None], {}, {"role": 7}, {"role": "assistant"},
    {"type": 7}, {"type": "text"}, {"type": "message"}, {"type": "a_call", "id": {}}, {"index": "x"},
]  # fmt: skip
NAMES = (
    "type role content text id name input output action call_id arguments tool_use_id tool_call_id tool_calls "
    "function encrypted_content index delta"
)
BODY = "messages input system tools functions instructions metadata max_tokens model"
TYPES = "message text tool_use tool_result function_call function_call_output compaction web_search_call reasoning"
PARTS = (
    "message_start content_block_start content_block_delta message response.completed response.created "
    "response.output_item.done response.output_text.delta"
)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_arbitrary_values_do_not_raise(dialect, value):
    roles = ("user", "assistant", "tool", value)
    blocks = [
        value,
        *({"type": kind, name: value} for kind in (*TYPES.split(), value) for name in NAMES.split()),
    ]
    messages = [{"role": role, "content": value, name: value} for role in roles for name in NAMES.split()]
    messages += [{"role": role, "content": blocks, "tool_calls": blocks} for role in roles]
    bodies = [{name: value} for name in BODY.split()]
    for items in (blocks, messages):
        bodies.append({"messages": items, "input": items, "tools": [value], "system": [value]})
    parts = [value, {"choices": value}, {"choices": [value]}]
    parts.append(completions.chunk(content=value, tool_calls=value))
    parts.append(completions.chunk(tool_calls=[value, {"index": value, "id": value, "function": value}]))
    for kind in PARTS.split():
        part = {"type": kind, "index": 0}
        parts += [part | {name: value} for name in (*NAMES.split(), "message", "response", "item")]
        parts.append(part | {"content_block": value, "item": value, "output_index": value})
    for body in bodies:
        for headers in ({}, dialect.headers):
            request = dialect.module.read_request(headers, body)
            assert all(isinstance(event.data, dict) for event in chain(*turns(request)))
    assert accumulate(dialect.module, *parts).events(request, USAGE) is not None
