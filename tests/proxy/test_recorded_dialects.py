"""Each model API's dialect: a call, and its history with a tool's outcome."""

import hashlib
import json
import re
import string
from datetime import timedelta

import pytest
from factories import make_recorded_session

from models import Event, sessions
from tests.proxy.upstream import (
    CHAT_COMPLETIONS,
    MESSAGE,
    MESSAGES,
    RESPONSES,
    data_event,
    documents,
    event,
    streams,
    text_delta,
)
from tests.rules.agents import completions, messages, responses_items

ANSWER = "I list the files."
COMMAND = {"command": "ls"}


def messages_request(*history):
    fields = {"model": "claude-haiku-4-5", "max_tokens": 100, "tools": messages.TOOLS}
    return fields | {"messages": [messages.user("What is here?"), *history]}


TOOL_USE = messages.call("call_1", "Bash", **COMMAND)
MESSAGES_HISTORY = [
    messages.assistant(ANSWER, TOOL_USE),
    messages.user(messages.result("call_1", "a.py"), "Thanks."),
]
MESSAGES_STREAM = [
    event({"type": "message_start",
           "message": {"id": "msg_1", "model": "claude-haiku-4-5", "usage": {"input_tokens": 9}}}),
    event({"type": "content_block_start", "index": 0, "content_block": messages.text("")}),
    text_delta(ANSWER),
    event({"type": "content_block_start", "index": 1, "content_block": TOOL_USE | {"input": {}}}),
    event({"type": "content_block_delta", "index": 1,
           "delta": {"type": "input_json_delta", "partial_json": json.dumps(COMMAND)}}),
    event({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}),
    event({"type": "message_stop"}),
]  # fmt: skip


def chat_request(*history):
    conversation = [completions.SYSTEM, completions.user("What is here?"), *history]
    return {"model": "gpt-5", "stream": True, "tools": completions.TOOLS, "messages": conversation}


CHAT_HISTORY = [
    completions.assistant(ANSWER, completions.call("call_1", "bash", **COMMAND)),
    completions.result("call_1", "a.py"),
    completions.user("Thanks."),
]
CHAT_STREAM = [
    data_event(completions.chunk(role="assistant", content="") | {"model": "gpt-5"}),
    data_event(completions.chunk(content=ANSWER)),
    data_event(completions.call_start("call_1", "bash")),
    data_event(completions.call_delta(json.dumps(COMMAND))),
    data_event(completions.chunk("tool_calls")),
    data_event({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}),
    b"data: [DONE]\n\n",
]


def responses_request(*history):
    tools = [{"type": "function", "name": "bash"}]
    items = [responses_items.user("What is here?"), *history]
    return {"model": "gpt-5", "stream": True, "tools": tools, "input": items}


RESPONSE = [responses_items.assistant(ANSWER), responses_items.call("call_1", "bash", **COMMAND)]
RESPONSES_HISTORY = [*RESPONSE, responses_items.result("call_1", "a.py"), responses_items.user("Thanks.")]
RESPONSES_PARTS = list(responses_items.stream(*RESPONSE))
RESPONSES_PARTS[-1]["response"] |= {"model": "gpt-5", "usage": {"input_tokens": 9, "output_tokens": 5}}

APIS = pytest.mark.parametrize(
    ("path", "build_request", "history", "stream"),
    [
        (MESSAGES, messages_request, MESSAGES_HISTORY, MESSAGES_STREAM),
        (CHAT_COMPLETIONS, chat_request, CHAT_HISTORY, CHAT_STREAM),
        (RESPONSES, responses_request, RESPONSES_HISTORY, list(map(event, RESPONSES_PARTS))),
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
    events = [json.loads(row.envelope) for row in rows if row.kind != "context"]
    kinds = [event["kind"] for event in events]
    # Only Claude Code is recognized, by its header.
    outcome = "command" if path == MESSAGES else "tool_use"
    assert kinds == ["prompt", "ai_response", "tool_intent", outcome, "prompt"]
    assert [events[n]["data"]["text"] for n in (0, 4)] == ["What is here?", "Thanks."]
    assert events[1]["data"]["lastAssistantMessage"] == ANSWER
    assert (events[1]["data"]["inputTokens"], events[1]["data"]["outputTokens"]) == (9, 5)
    assert [events[n]["data"]["toolUseId"] for n in (2, 3)] == ["call_1", "call_1"]
    assert [(used.is_recorded, used.is_whole) for used in usage()] == [(True, True)] * 3


def test_conversations_with_the_same_first_prompt_are_separated_by_time(call, upstream, session, clock):
    """A tool without session ids; each conversation continues after the other."""

    def send(answer, *history):
        document = MESSAGE | {"id": answer, "content": [messages.text(answer)]}
        upstream.respond = documents(200, document)
        call(MESSAGES, data=json.dumps(messages_request(*history)))

    def history(answer):
        return messages.assistant(answer), messages.user("Go on.")

    for _ in range(2):  # the second one is a retry
        send("First.")
        clock.fixed += timedelta(minutes=5)
    clock.fixed += timedelta(minutes=5)
    for _ in range(2):
        send("Second.")
    for answer in ("First.", "Second.", "First."):
        send(f"Then {answer}", *history(answer))
    rows = Event.select().where(Event.session == session, Event.kind != "context").order_by(Event.seq)
    data = [json.loads(row.envelope)["data"] for row in rows]
    texts = [fields.get("text") or fields["lastAssistantMessage"] for fields in data]
    prompt = "What is here?"
    assert texts == [
        *(prompt, "First.", prompt, "Second."),
        *("Go on.", "Then First.", "Go on.", "Then Second."),
    ]
    sessions = [fields["meta"]["ideSessionId"] for fields in data]
    assert [sessions.index(name) for name in sessions] == [0, 0, 2, 2, 0, 0, 2, 2]


def nested(path):
    """A call's message with arguments that cannot be parsed, in the API of this path."""
    message = {
        MESSAGES: messages.assistant(messages.call("call_2", "Bash", a="NESTED")),
        CHAT_COMPLETIONS: {"role": "assistant", "tool_calls": ["NESTED"]},
        RESPONSES: {"type": "function_call", "call_id": "call_2", "name": "bash", "action": "NESTED"},
    }[path]
    return message, "[" * 5_000 + "]" * 5_000


@APIS
def test_a_message_that_cannot_be_parsed_is_recorded_as_its_raw_text(
    call, upstream, session, usage, path, build_request, history, stream
):
    upstream.respond = streams(stream)
    message, value = nested(path)
    text = json.dumps(build_request(*history, message)).replace('"NESTED"', value)
    call(path, data=text, headers={"Session-Id": "agent-1", "X-Claude-Code-Session-Id": "agent-1"})
    rows = Event.select().where(Event.session == session).order_by(Event.time_ns, Event.seq)
    data = [json.loads(row.envelope)["data"] for row in rows]
    assert {"What is here?", "Thanks."} < {fields.get("text") for fields in data}
    [raw] = [fields["input"] for fields in data if fields.get("toolName") == "unreadable"]
    assert raw == json.dumps(message).replace('"NESTED"', value)
    assert usage()[0].is_recorded


def test_a_number_of_too_many_digits_does_not_hide_a_call(call, upstream, session):
    upstream.respond = streams(MESSAGES_STREAM)
    text = json.dumps(messages_request(*MESSAGES_HISTORY))
    text = text.replace('"command": "ls"', f'"command": "ls", "n": {"1" * 5_000}')
    call(MESSAGES, data=text, headers={"X-Claude-Code-Session-Id": "agent-1"})
    kinds = [row.kind for row in Event.select().where(Event.session == session).order_by(Event.seq)]
    assert kinds[:2] == ["command", "prompt"]


SECRET_HISTORY = {
    MESSAGES: [messages.assistant("Sure."), messages.user("A secret")],
    CHAT_COMPLETIONS: [completions.assistant("Sure."), completions.user("A secret")],
    RESPONSES: [responses_items.assistant("Sure."), responses_items.user("A secret")],
}


@APIS
def test_an_invented_history_before_known_turns_is_recorded_and_reported(
    call, upstream, session, reviewer, path, build_request, history, stream
):
    upstream.respond = streams(stream)
    headers = {"Session-Id": "agent-1", "X-Claude-Code-Session-Id": "agent-1"}
    for later_messages in ([], history, [*SECRET_HISTORY[path], *history]):
        call(path, data=json.dumps(build_request(*later_messages)), headers=headers)
    contexts = Event.select().where(Event.session == session, Event.kind == "context").order_by(Event.seq)
    data = [json.loads(row.envelope)["data"] for row in contexts]
    assert [(fields["role"], fields["text"]) for fields in data if fields.get("fromHistory")] == [
        ("assistant", "Sure."),
        ("user", "A secret"),
    ]
    findings = reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"]
    assert [(finding["code"], finding["count"]) for finding in findings] == [("history_rewritten", 1)]


CHARACTERS = "iVBORw0KGgo" * 20
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": CHARACTERS}}
LONG = "argument " * 100


def custom_call(call_id, prefix):
    custom = {"name": f"{prefix}-custom", "input": f"{prefix}-input"}
    return {"id": call_id, "type": "custom", "custom": custom}


PLANTED = {
    MESSAGES: (
        {
            "system": "w-system",
            "tools": [{"name": "Bash", "description": "w-tool", "input_schema": {"enum": ["w-enum"]}}],
            "context_management": {"edits": [{"type": "compact_20260112", "instructions": "w-edit"}]},
            "stop_sequences": ["w-stop"],
        },
        [
            {"role": "system", "content": "w-system-message"},
            messages.user(
                {"type": "document", "title": "w-title", "source": {"type": "text", "data": "w-document"}},
                {"type": "search_result", "source": "w-source", "title": "a", "content": [messages.text("w-found")]},
                "<system-reminder>w-reminder</system-reminder>w-prompt",
                {**IMAGE, "cache_control": {"type": "ephemeral"}},
            ),
            messages.assistant({"type": "thinking", "thinking": "w-thought", "signature": "x"}, "w-answer"),
            messages.assistant(messages.call("toolu_1", "w-name", path="w-argument")),
            messages.user({**messages.result("toolu_1", [messages.text("w-result"), IMAGE]), "title": "w-field"}),
            {"role": "user", "content": "w-latest"},
        ],
        [
            {"type": "thinking", "thinking": "r-thought", "signature": "x"},
            messages.text("r-answer"),
            {"type": "compaction", "content": "r-compaction"},
            messages.call("toolu_2", "Bash", command=LONG),
        ],
    ),
    RESPONSES: (
        {
            "instructions": "w-system",
            "tools": [{"type": "function", "name": "bash", "description": "w-tool"}],
            "text": {"format": {"schema": {"description": "w-format"}}},
        },
        [
            {"type": "message", "role": "developer", "content": "w-system-message"},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "w-prompt"},
                {"type": "input_file", "filename": "w-file", "file_data": "w-data"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{CHARACTERS}"},
            ]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "w-thought"}], "encrypted_content": "x"},
            responses_items.assistant("w-answer"),
            responses_items.call("call_1", "w-name", path="w-argument"),
            responses_items.result("call_1", [{"type": "input_text", "text": "w-result"}]),
            responses_items.user("w-latest"),
        ],
        [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "r-thought"}]},
            responses_items.assistant("r-answer"),
            {"type": "compaction", "summary": "r-compaction", "encrypted_content": "x"},
            responses_items.call("call_2", "bash", command=LONG),
            {"type": "computer_call", "call_id": "call_3", "actions": [{"type": "type", "text": "r-typed"}]},
            {"type": "code_interpreter_call", "id": "ci_1", "code": "r-code", "outputs": [{"logs": "r-logs"}]},
            {"type": "image_generation_call", "id": "ig_1", "result": CHARACTERS, "revised_prompt": "r-revised"},
        ],
    ),
    CHAT_COMPLETIONS: (
        {
            "tools": [{"type": "function", "function": {"name": "bash", "description": "w-tool"}}],
            "response_format": {"json_schema": {"description": "w-format"}},
        },
        [
            {"role": "system", "content": "w-system-message"},
            {"role": "user", "name": "w-user", "content": [
                {"type": "text", "text": "w-prompt"},
                {"type": "text", "text": "data:image/w-text"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{CHARACTERS}"}},
            ]},
            completions.assistant(
                "w-answer", completions.call("call_1", "w-name", path="w-argument"), custom_call("call_0", "w")
            ),
            completions.result("call_1", "w-result"),
            completions.user("w-latest"),
        ],
        [
            completions.assistant(
                "r-answer", completions.call("call_2", "bash", command=LONG), custom_call("call_4", "r")
            )
            | {"reasoning_content": "r-thought", "refusal": "r-refusal"},
            completions.assistant("r-choice", completions.call("call_3", "bash", command=f"ls {LONG}")),
        ],
    ),
}  # fmt: skip


def response_with(path, blocks):
    if path == MESSAGES:
        return MESSAGE | {"content": blocks}
    if path == RESPONSES:
        return {"object": "response", "model": "gpt-5", "output": blocks}
    return {"model": "gpt-5", "choices": [{"index": n, "message": block} for n, block in enumerate(blocks)]}


def planted_words(value):
    return set(re.findall(r"\b[wr]-[a-z-]+", json.dumps(value)))


@pytest.mark.parametrize("path", PLANTED)
def test_every_string_of_a_call_is_in_an_event_once(call, upstream, session, reviewer, usage, path):
    fields, history, blocks = PLANTED[path]
    upstream.respond = documents(200, response_with(path, blocks))
    body = {"model": "m", "max_tokens": 900, "input" if path == RESPONSES else "messages": history} | fields
    headers = {"Session-Id": "agent-1", "X-Claude-Code-Session-Id": "agent-1"}
    sizes = []
    for _ in range(2):
        call(path, data=json.dumps(body), headers=headers)
        rows = list(Event.select().where(Event.session == session))
        sizes.append(len(rows))
    assert sizes[0] == sizes[1]
    envelopes = [row.envelope for row in rows]
    assert planted_words(envelopes) == planted_words([fields, history, blocks])
    data = [json.loads(envelope)["data"] for envelope in envelopes]
    contexts = [fields["text"] for fields in data if "role" in fields]
    assert len({(fields["role"], fields["text"]) for fields in data if "role" in fields}) == len(contexts)
    assert not any(CHARACTERS in envelope for envelope in envelopes)
    assert any(
        hashlib.sha256(CHARACTERS.encode()).hexdigest() in text or "image" in text for text in contexts
    )
    assert any(LONG in fields.get("input", "") for fields in data)
    assert [used.is_recorded for used in usage()] == [True, True]
    metrics = reviewer.get(f"/v1/sessions/{session.id}").json
    assert metrics["eventCount"] == sum("role" not in fields for fields in data)


def test_a_text_that_is_larger_than_an_event_is_its_hash_size_and_start(call, session):
    system = ["long " * 300_000, "long " * 300_000 + "end"]
    for text in system:
        call(MESSAGES, data=json.dumps(messages_request() | {"system": text}))
    rows = Event.select().where(Event.session == session, Event.kind == "context", Event.size > 100_000)
    texts = [json.loads(row.envelope)["data"]["text"] for row in rows.order_by(Event.seq)]
    assert [text.startswith("long long") for text in texts] == [True, True]
    for text, sent in zip(texts, system, strict=True):
        assert hashlib.sha256(json.dumps(sent).encode()).hexdigest() in text
        assert f"{len(json.dumps(sent))} bytes" in text


def test_what_cannot_be_read_of_a_response_is_recorded_as_it_is(call, upstream, session, usage):
    upstream.respond = streams([*MESSAGES_STREAM[:3], b"event: a\ndata: w-[broken\n\n", *MESSAGES_STREAM[3:]])
    call(MESSAGES, data=json.dumps(messages_request()))
    [row] = Event.select().where(
        Event.session == session, Event.kind == "context", Event.subject.startswith("w-")
    )
    assert json.loads(row.envelope)["data"]["type"] == "unreadable"


def test_a_compacted_history_is_no_finding(call, upstream, session, reviewer):
    """opencode sends its summary again as a response; it has no tools in the call that writes it."""
    ask = completions.user("What did we do so far?")
    fixed = [completions.assistant("I fixed it."), ask]
    for answer, history, fields in (
        ("I fixed it.", [], {}),
        ("The test was wrong.", fixed, {"tools": []}),
        ("All done.", [ask, completions.assistant("The test was wrong."), completions.user("Go on.")], {}),
    ):
        upstream.respond = documents(200, response_with(CHAT_COMPLETIONS, [completions.assistant(answer)]))
        body = chat_request(*history) | fields
        if ask in history[:1]:
            body["messages"] = [completions.SYSTEM, *history]
        call(CHAT_COMPLETIONS, data=json.dumps(body), headers=completions.HEADERS)
    rows = Event.select().where(Event.session == session).order_by(Event.seq)
    texts = [fields.get("text") for fields in (json.loads(row.envelope)["data"] for row in rows)]
    assert texts.count("The test was wrong.") == 1
    assert [row.subject for row in rows if row.kind == "prompt"] == ["What is here?", "Go on."]
    assert reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"] == []


def test_names_in_a_schema_are_recorded(call, session):
    schema = {"type": "object", "properties": {"w-name": {"type": "string"}}}
    output = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    call(MESSAGES, data=json.dumps(messages_request() | output))
    assert planted_words([row.envelope for row in Event.select()]) == {"w-name"}


def test_what_an_event_truncates_is_in_other_events(call, session):
    parts = [completions.user(f"w-{name} {'a ' * 40_000}")["content"] for name in string.ascii_lowercase]
    content = [{"type": "text", "text": part} for part in parts]
    call(CHAT_COMPLETIONS, data=json.dumps({"model": "gpt-5", "messages": [completions.user(content)]}))
    assert planted_words([row.envelope for row in Event.select()]) == planted_words(parts)


def test_a_parallel_call_with_another_result_is_a_finding(call, session, usage, monkeypatch):
    def send(result, **headers):
        outcome = messages.user(messages.result("call_1", result))
        body = messages_request(messages.assistant(TOOL_USE), outcome)
        headers |= {"X-Claude-Code-Session-Id": "agent-1"}
        call(MESSAGES, data=json.dumps(body), headers=headers)
        return usage()[-1].is_recorded

    assert send("a.py")
    # Each call reads its request before the other one is stored.
    with monkeypatch.context() as parallel:
        parallel.setattr(sessions, "stored_positions", lambda *_: set())
        assert send("a.py", X_Claude_Code_Agent_Id="agent-2")
        assert [send("a.py"), send("A secret")] == [True, False]
    assert send("A secret")
    assert "A secret" in "".join(row.envelope for row in Event.select())


def test_streamed_citations_are_known_in_the_history(call, upstream, session, reviewer):
    citations = [
        {"type": "char_location", "cited_text": f"Sentence {n}.", "document_index": 0} for n in range(2)
    ]
    answer = messages.text(ANSWER) | {"citations": citations}
    upstream.respond = streams(list(map(event, messages.stream(answer))))
    for history in ([], [messages.assistant(answer), messages.user("Go on.")]):
        call(MESSAGES, data=json.dumps(messages_request(*history)))
    assert reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"] == []


def test_an_invented_compaction_is_a_finding(call, upstream, session, reviewer):
    compaction = {"type": "compaction", "content": "We agreed on everything."}
    upstream.respond = documents(200, MESSAGE | {"content": [compaction, messages.text(ANSWER)]})
    call(MESSAGES, data=json.dumps(messages_request()))

    def findings_after(compaction):
        history = [messages.assistant(compaction, ANSWER), messages.user("Go on.")]
        call(MESSAGES, data=json.dumps(messages_request(*history)))
        return [
            found["code"] for found in reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"]
        ]

    assert findings_after(compaction) == []
    assert findings_after(compaction | {"content": "A secret"}) == ["history_rewritten"]
