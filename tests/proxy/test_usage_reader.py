"""Usage in responses: streams and documents, compressed and not."""

import gzip
import json

import pytest

from proxy import usage_reader
from proxy.usage_reader import UsageReader
from tests.proxy.upstream import data_event

EVENTS = "text/event-stream; charset=utf-8"
OPENAI_USAGE = {
    "input_tokens": 100, "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
    "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 12}, "total_tokens": 120,
}  # fmt: skip


def read(dialect, body, content_type="application/json", encoding="", size=1):
    """Read a body's usage in chunks of `size` bytes."""
    reader = UsageReader(dialect, content_type, encoding)
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    reader.end()
    return reader.usage()


def stream(*documents, end="\n"):
    lines = [
        f"event: {document['type']}{end}data: {json.dumps(document)}{end}{end}" for document in documents
    ]
    return "".join(lines).encode()


def message_start(**usage):
    message = {"type": "message", "model": "claude-haiku-4-5-20251001", "content": [], "usage": usage}
    return {"type": "message_start", "message": message}


def text_delta(text):
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def message_delta(**usage):
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def response(kind="response.completed", usage=None):
    document = {"object": "response", "model": "gpt-5-2025-08-07", "output": [], "usage": usage}
    return {"type": kind, "response": document}


def test_a_message_reports_its_tokens_by_kind():
    usage = {
        "input_tokens": 7, "output_tokens": 40, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    }  # fmt: skip
    body = json.dumps({"type": "message", "model": "claude-opus-4-6", "usage": usage}).encode()
    counts = {"input": 7, "output": 40, "cacheRead": 500}
    counts |= {"cacheWrite": 30, "cacheWrite5m": 10, "cacheWrite1h": 20}
    assert read("messages", body) == ("claude-opus-4-6", counts)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_last_value_of_each_count_in_a_stream_is_used(size, end):
    body = stream(
        message_start(input_tokens=7, cache_read_input_tokens=500, output_tokens=1),
        text_delta('It says "usage": {"output_tokens": 999} in its text.'),
        message_delta(output_tokens=12),
        message_delta(output_tokens=40, input_tokens=9, cache_read_input_tokens=None),
        {"type": "message_stop"},
        end=end,
    )
    counts = {"input": 9, "output": 40, "cacheRead": 500}
    assert read("messages", body, EVENTS, size=size) == ("claude-haiku-4-5-20251001", counts)


# The totals exclude the compaction.
COMPACTED = {
    "input_tokens": 23_000, "output_tokens": 1000, "cache_read_input_tokens": 50,
    "cache_creation": {"ephemeral_1h_input_tokens": 7},
    "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500, "cache_read_input_tokens": 600},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1000, "cache_read_input_tokens": 50},
    ],
}  # fmt: skip


@pytest.mark.parametrize("is_stream", [True, False])
def test_all_iterations_of_a_message_count(is_stream):
    message = {"type": "message", "model": "claude-opus-4-6", "usage": COMPACTED}
    events = stream(message_start(input_tokens=23_000, output_tokens=1), message_delta(**COMPACTED))
    body, content_type = (events, EVENTS) if is_stream else (json.dumps(message).encode(), "application/json")
    counts = {"input": 203_000, "output": 4500, "cacheRead": 650, "cacheWrite1h": 7}
    assert read("messages", body, content_type).counts == counts


def test_openais_input_excludes_cache_reads_and_writes():
    body = json.dumps(response(usage=OPENAI_USAGE)["response"]).encode()
    counts = {"input": 10, "output": 20, "cacheRead": 60, "cacheWrite": 30}
    assert read("responses", body) == ("gpt-5-2025-08-07", counts)


@pytest.mark.parametrize("last", ["response.completed", "response.incomplete", "response.failed"])
def test_usage_is_read_from_each_kind_of_last_event(last):
    delta = {"type": "response.output_text.delta", "delta": "Hello"}
    body = stream(response("response.created"), delta, response(last, OPENAI_USAGE))
    assert read("responses", body, EVENTS).counts["input"] == 10


def test_an_interrupted_completions_output_is_estimated_from_its_text():
    reader = UsageReader("chat_completions", EVENTS)
    call = {"index": 0, "function": {"arguments": "123456"}}
    for delta in ({"content": "12345678"}, {"reasoning_content": "1234"}, {"tool_calls": [call]}):
        reader.feed(data_event({"model": "m", "choices": [{"delta": delta}], "usage": None}))
    assert reader.estimated_output() == (8 + 4 + 6) // 3
    assert not reader.has_total


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_a_compressed_response_is_read(encoding):
    body = gzip.compress(stream(message_start(input_tokens=7, output_tokens=1)))
    assert read("messages", body, EVENTS, encoding).counts == {"input": 7, "output": 1}


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"", ""), (b'{"type": "message", "usage": {"input_tok', ""), (b"<html>502</html>", ""), (b'"usage"', ""),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', ""), (b"[" * 100_000, ""),
        (b'{"usage": [1], "model": 5, "message": "usage"}', ""),
        (b'{"usage": {"input_tokens": -1, "output_tokens": 1.5, "cache_read_input_tokens": 10e30}}', ""),
        (b'{"usage": {"input_tokens": 1000000000001}}', ""),
        (b'{"usage": {"input_tokens": 1}}', "br"), (b'{"usage": {"input_tokens": 1}}', "gzip"),
    ],
)  # fmt: skip
def test_an_unreadable_response_has_no_usage(body, encoding):
    assert read("messages", body, encoding=encoding, size=1000) == (None, {})


def test_an_event_or_a_document_above_the_limit_is_skipped(monkeypatch):
    monkeypatch.setattr(usage_reader, "MAX_DOCUMENT_BYTES", 1000)
    long = b" " * 1500 + json.dumps({"usage": {"input_tokens": 1}}).encode()
    body = b"data: " + long + b"\n\n" + stream(message_delta(output_tokens=40))
    for size in (1, 100):
        assert read("messages", long, size=size).counts == {}
        assert read("messages", body, EVENTS, size=size).counts == {"output": 40}


def read_data(dialect, body, size):
    """Read a stream. Return its events' data, and whether it is complete before `end()`."""
    events = []
    reader = UsageReader(dialect, EVENTS, on_data=events.append)
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    is_complete = reader.is_complete
    reader.end()
    return events, is_complete


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_streams_are_read_in_all_valid_formats(end, size):
    lines = [
        ": ping", "", "retry: 3000", "id: 1", "event: message_delta", 'data: {"type": "message_delta",',
        'data:"usage": {"output_tokens": 20}}', "", ":", "data", "", 'data:{"type": "message_stop"}', "", "",
    ]  # fmt: skip
    events, is_complete = read_data("messages", end.join(lines).encode(), size)
    assert [json.loads(data) for data in events] == [
        {"type": "message_delta", "usage": {"output_tokens": 20}},
        {"type": "message_stop"},
    ]
    assert is_complete
    assert read("messages", end.join(lines).encode(), EVENTS, size=size).counts == {"output": 20}


@pytest.mark.parametrize(
    ("dialect", "data"),
    [
        ("messages", b'{"type": "message_stop"}'),
        ("responses", b'{"type": "response.completed", "response": {}}'),
        ("chat_completions", b"[DONE]"),
    ],
)
def test_a_stream_is_complete_before_the_last_events_empty_line(dialect, data):
    """Some clients do not read the empty line."""
    assert read_data(dialect, b"data: " + data + b"\n", 1) == ([data], True)
    assert read_data(dialect, b"data: " + data, 1)[0] == [data]
