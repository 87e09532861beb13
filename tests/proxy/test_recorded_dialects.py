"""Each model API's dialect: a call, and its history with a tool's outcome."""

import json

import pytest
from factories import make_recorded_session

from models import Event
from tests.proxy.upstream import CHAT_COMPLETIONS, MESSAGES, RESPONSES, data_event, event, streams

ANSWER = "I list the files."
COMMAND = {"command": "ls"}


def messages_request(*history):
    first = {"role": "user", "content": [{"type": "text", "text": "What is here?"}]}
    tools = [{"name": "Bash", "input_schema": {"type": "object"}}]
    return {"model": "claude-haiku-4-5", "max_tokens": 100, "tools": tools, "messages": [first, *history]}


TOOL_USE = {"type": "tool_use", "id": "call_1", "name": "Bash", "input": COMMAND}
TOOL_RESULT = {"type": "tool_result", "tool_use_id": "call_1", "content": "a.py"}
MESSAGES_HISTORY = [
    {"role": "assistant", "content": [{"type": "text", "text": ANSWER}, TOOL_USE]},
    {"role": "user", "content": [TOOL_RESULT, {"type": "text", "text": "Thanks."}]},
]
MESSAGES_STREAM = [
    event({"type": "message_start",
           "message": {"id": "msg_1", "model": "claude-haiku-4-5", "usage": {"input_tokens": 9}}}),
    event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ANSWER}}),
    event({"type": "content_block_start", "index": 1, "content_block": TOOL_USE | {"input": {}}}),
    event({"type": "content_block_delta", "index": 1,
           "delta": {"type": "input_json_delta", "partial_json": json.dumps(COMMAND)}}),
    event({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}),
    event({"type": "message_stop"}),
]  # fmt: skip


def chat_request(*history):
    tools = [{"type": "function", "function": {"name": "bash"}}]
    messages = [
        {"role": "system", "content": "Help."},
        {"role": "user", "content": "What is here?"},
        *history,
    ]
    return {"model": "gpt-5", "stream": True, "tools": tools, "messages": messages}


FUNCTION = {"name": "bash", "arguments": json.dumps(COMMAND)}
CHAT_CALL = {"id": "call_1", "type": "function", "function": FUNCTION}
CHAT_HISTORY = [
    {"role": "assistant", "content": ANSWER, "tool_calls": [CHAT_CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "a.py"},
    {"role": "user", "content": "Thanks."},
]
CHAT_STREAM = [
    data_event({"id": "c_1", "model": "gpt-5", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    for delta in ({"role": "assistant", "content": ""}, {"content": ANSWER}, {"tool_calls": [CHAT_CALL | {"index": 0}]})
]  # fmt: skip
CHAT_STREAM += [
    data_event({"id": "c_1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    data_event({"id": "c_1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}),
    b"data: [DONE]\n\n",
]


def responses_request(*history):
    first = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is here?"}]}
    tools = [{"type": "function", "name": "bash"}]
    return {"model": "gpt-5", "stream": True, "tools": tools, "input": [first, *history]}


RESPONSE_MESSAGE = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": ANSWER}],
}
RESPONSE_CALL = {"type": "function_call", "call_id": "call_1"} | FUNCTION
RESPONSES_HISTORY = [
    RESPONSE_MESSAGE,
    RESPONSE_CALL,
    {"type": "function_call_output", "call_id": "call_1", "output": "a.py"},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Thanks."}]},
]
RESPONSES_STREAM = [
    event({"type": "response.created", "response": {"id": "resp_1", "model": "gpt-5"}}),
    event({"type": "response.output_item.done", "output_index": 0, "item": RESPONSE_MESSAGE}),
    event({"type": "response.output_item.done", "output_index": 1, "item": RESPONSE_CALL}),
    event({"type": "response.completed",
           "response": {"id": "resp_1", "model": "gpt-5", "output": [RESPONSE_MESSAGE, RESPONSE_CALL],
                        "usage": {"input_tokens": 9, "output_tokens": 5}}}),
]  # fmt: skip

APIS = pytest.mark.parametrize(
    ("path", "build_request", "history", "stream"),
    [
        (MESSAGES, messages_request, MESSAGES_HISTORY, MESSAGES_STREAM),
        (CHAT_COMPLETIONS, chat_request, CHAT_HISTORY, CHAT_STREAM),
        (RESPONSES, responses_request, RESPONSES_HISTORY, RESPONSES_STREAM),
    ],
    ids=["messages", "chat completions", "responses"],
)


@pytest.fixture
def session(key):
    return make_recorded_session(key)


@APIS
def test_a_conversation_is_recorded_once(
    call, upstream, session, usage, path, build_request, history, stream
):
    body = b"".join(stream)
    upstream.respond = streams([bytes([byte]) for byte in body])
    headers = {"Session-Id": "agent-1", "X-Claude-Code-Session-Id": "agent-1"}
    for later_messages in ([], history, history):
        response = call(path, data=json.dumps(build_request(*later_messages)), headers=headers)
        assert response.data == body
    rows = Event.select().where(Event.session == session).order_by(Event.time_ns, Event.seq)
    events = [json.loads(row.envelope) for row in rows]
    prompts = [event["data"]["text"] for event in events if event["kind"] == "prompt"]
    assert prompts == ["What is here?", "Thanks."]
    assert [event["kind"] for event in events[:3]] == ["prompt", "ai_response", "tool_intent"]
    assert events[1]["data"]["lastAssistantMessage"] == ANSWER
    assert (events[1]["data"]["inputTokens"], events[1]["data"]["outputTokens"]) == (9, 5)
    intent_and_outcome = [event for event in events if event["data"].get("toolUseId") == "call_1"]
    assert len(intent_and_outcome) == 2
    assert [(used.is_recorded, used.is_whole) for used in usage()] == [(True, True)] * 3
