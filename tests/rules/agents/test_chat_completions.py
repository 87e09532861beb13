"""OpenAI's Chat Completions API, in the form in which opencode and unknown tools send it."""

import json

import pytest

from rules.agents import chat_completions
from rules.agents.chat_completions import DONE
from rules.events.recorded_events import ResponseUsage

SESSION = "ses_0a1b2c3d4e5f6789"
OPENCODE = {"user-agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.23", "x-session-id": SESSION}
SUBAGENT = OPENCODE | {"x-session-id": "ses_child", "x-parent-session-id": SESSION}
FACTS = ResponseUsage("req_1", "model-1", {"input": 12, "output": 34}, 1_500_000, 80, 900)
SYSTEM = {"role": "system", "content": "You help.\n<env>\n  Working directory: /shop\n</env>"}
TOOLS = [{"type": "function", "function": {"name": "bash"}}]


def user(content):
    return {"role": "user", "content": content}


def assistant(content, *calls):
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {})}


def call(call_id, tool, /, **arguments):
    function = {"name": tool, "arguments": json.dumps(arguments)}
    return {"id": call_id, "type": "function", "function": function}


def result(call_id, content):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def request(*messages, headers=OPENCODE, **members):
    body = {"model": "model-1", "stream": True, "tools": TOOLS, "messages": [SYSTEM, *messages]}
    return chat_completions.read_request(headers, body | members)


def chunk(finish_reason=None, **delta):
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def response(*parts):
    collected = chat_completions.Response()
    for part in parts:
        collected.add(part)
    return collected


def kinds(events):
    return [event.kind for event in events]


def started(call_id, name, index=0):
    return chunk(tool_calls=[{"index": index, "id": call_id, "function": {"name": name, "arguments": ""}}])


def continued(arguments, index=0):
    return chunk(tool_calls=[{"index": index, "function": {"arguments": arguments}}])


def test_the_agent_is_read_from_the_headers():
    assert request(user("Hi")).agent == ("opencode", "1.18.33", SESSION, None)
    assert request(user("Hi"), headers=SUBAGENT).agent == ("opencode", "1.18.33", SESSION, "ses_child")
    assert request(user("Hi"), headers={}).agent[:2] == (None, None)


def test_a_turn_has_the_response_its_calls_their_outcomes_and_the_next_prompt():
    history = [
        user("Fix it."),
        assistant("I look.", call("call_1", "bash", command="ls")),
        result("call_1", "a.py\n"),
    ]
    latest, first = request(*history, user("Go on.")).turns()
    assert [event.data for event in first] == [{"text": "Fix it."}]
    assert [(event.kind, event.data) for event in latest] == [
        ("ai_response", {"lastAssistantMessage": "I look."}),
        ("tool_intent", {"toolName": "bash", "inputPreview": '{"command": "ls"}', "toolUseId": "call_1"}),
        ("command", {"toolUseId": "call_1", "command": "ls", "stdout": "a.py\n"}),
        ("prompt", {"text": "Go on."}),
    ]


def test_a_stream_gives_its_text_usage_and_calls():
    parts = [
        chunk(role="assistant", content=""),
        chunk(content="I lo"),
        chunk(content="ok."),
        started("call_1", "bash"),
        continued('{"comm'),
        started("call_2", "read", 1),
        continued('and": "ls"}'),
        continued('{"filePath": "/shop/a.py"}', 1),
        chunk("tool_calls"),
        {"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 12}},
        DONE,
    ]
    sent = response(*parts)
    answer, *intents = sent.events(request(user("Fix it.")), FACTS)
    assert (answer.data["lastAssistantMessage"], answer.data["inputTokens"]) == ("I look.", 12)
    assert [(event.data["toolUseId"], event.data["inputPreview"]) for event in intents] == [
        ("call_1", '{"command": "ls"}'),
        ("call_2", '{"filePath": "/shop/a.py"}'),
    ]


def test_calls_need_no_index():
    parts = [
        started("call_1", "bash", None),
        continued('{"command": "ls"}', None),
        started("call_2", "read", None),
        continued("{}", None),
    ]
    _, *intents = response(*parts).events(request(user("Fix it.")), FACTS)
    assert [(event.data["toolUseId"], event.data["inputPreview"]) for event in intents] == [
        ("call_1", '{"command": "ls"}'),
        ("call_2", "{}"),
    ]


def test_a_later_object_without_an_id_changes_nothing():
    parts = [chunk(content="I look.") | {"id": "chatcmpl-1", "model": "m"}, chunk("stop")]
    (answer,) = response(*parts).events(request(user("Fix it.")), FACTS._replace(model=None))
    assert answer.data["model"] == "m"


@pytest.mark.parametrize(
    ("parts", "is_complete"),
    [
        ([], False),
        ([chunk(content="Yes")], False),
        ([chunk(content="Yes"), chunk("stop")], False),
        ([chunk(content="Yes"), chunk("stop"), DONE], True),
        ([chunk(content="Yes"), chunk("stop"), {"choices": [], "usage": {}}], True),
        ([{"object": "chat.completion", "choices": [{"message": {"content": "Yes"}}]}], True),
    ],
)
def test_a_response_is_complete_after_its_last_object(parts, is_complete):
    assert response(*parts).is_complete is is_complete


def test_a_document_is_a_response():
    message = assistant("I look.", call("call_1", "bash", command="ls"))
    answer, intent = response({"choices": [{"index": 0, "message": message}]}).events(
        request(user("Hi")), FACTS
    )
    assert (answer.data["lastAssistantMessage"], intent.data["toolUseId"]) == ("I look.", "call_1")


def test_a_broken_stream_gives_what_came():
    broken = response(chunk(content="I lo"), started("call_1", "bash"), continued('{"comm'))
    answer, intent = broken.events(request(user("Hi")), FACTS)
    assert (answer.data["lastAssistantMessage"], intent.data["inputPreview"]) == ("I lo", '{"comm')


def test_the_same_prompt_and_answer_three_times_are_three_of_each():
    history = [user("Go on."), assistant("Done.")] * 3
    found = [(event.kind, event.identity) for turn in request(*history).turns() for event in turn]
    assert len(found) == len(set(found)) == 6
    [live] = response(chunk(content="Done."), DONE).events(request(*history[:-1]), FACTS)
    assert (live.kind, live.identity) == found[0]


def test_a_subagent_has_no_prompts_and_its_responses_no_text():
    task = request(user("Count."), headers=SUBAGENT)
    assert list(task.turns()) == []
    [usage] = response(chunk(content="Two."), DONE).events(task, FACTS)
    assert (usage.kind, usage.agent_id, "lastAssistantMessage" in usage.data) == (
        "subagent_usage",
        "ses_child",
        False,
    )


def test_a_title_gives_usage_only():
    title = request(user("Generate a title for this conversation:\n"), user("Fix it."), tools=[])
    assert list(title.turns()) == []
    assert kinds(response(chunk(content="A title"), DONE).events(title, FACTS)) == ["subagent_usage"]


def test_an_unknown_tool_gives_generic_events():
    history = [user([{"type": "text", "text": "Fix it."}]), assistant(None, call("call_1", "run", a=1))]
    latest, first = request(*history, result("call_1", "fine"), headers={}).turns()
    assert kinds(first) == ["prompt"]
    assert latest[1].data == {
        "toolUseId": "call_1",
        "toolName": "run",
        "inputPreview": '{"a": 1}',
        "ok": True,
    }


HOSTILE = [None, True, 7, "text", [], [[]], {}, {"role": 7}, {"role": "assistant"}, {"index": "x"}]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_values_of_any_type_raise_nothing(value):
    names = ("role", "content", "tool_calls", "tool_call_id", "function")
    messages = [
        {"role": role, name: value} for role in ("user", "assistant", "tool", value) for name in names[1:]
    ]
    messages += [
        assistant("a", value, {"id": value, "function": value}, {"id": "c", "function": {"name": value}})
    ]
    for given in ([value], messages, value):
        for headers in (OPENCODE, {}):
            read = chat_completions.read_request(
                headers, {"messages": given, "tools": value, "functions": value, "max_tokens": value}
            )
            list(read.turns())
            parts = [value, {"choices": value}, {"choices": [value]}, chunk(content=value, tool_calls=value)]
            parts += [chunk(tool_calls=[value, {"index": value, "id": value, "function": value}])]
            response(*parts).events(read, FACTS)
