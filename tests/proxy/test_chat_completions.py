"""OpenAI's Chat Completions: forwarded, checked and billed like the Responses API (R42)."""

import json

import pytest

from models import ModelReservation, ModelUsage
from proxy import billed_call
from proxy.usage_reader import UsageReader
from tests.proxy.test_error_responses import error_of
from tests.proxy.upstream import (
    CHAT_COMPLETIONS,
    COMPLETION,
    COMPLETION_EVENTS,
    RESPONSE_NANO_USD,
    data_event,
    documents,
    stay_open,
    streams,
)

USD = 10**9
USAGE = {
    "provider": "openai", "model": "gpt-5-2025-08-07", "input_tokens": 600, "output_tokens": 200,
    "cache_read_tokens": 400, "cost_nano_usd": RESPONSE_NANO_USD, "status_code": 200, "is_whole": True,
}  # fmt: skip
REMOTE = "https://example.com/a.png"


def usage_of(session):
    return list(ModelUsage.select().where(ModelUsage.session == session).order_by(ModelUsage.id))


@pytest.mark.parametrize("reply", [COMPLETION, COMPLETION_EVENTS], ids=["document", "stream"])
def test_a_completion_is_returned_unchanged_and_its_usage_stored(call, upstream, session, reply):
    is_stream = isinstance(reply, list)
    upstream.respond = streams(reply) if is_stream else documents(200, reply)
    response = call(CHAT_COMPLETIONS)
    assert response.data == (b"".join(reply) if is_stream else json.dumps(reply).encode())
    assert upstream.requests[0].target == "/v1/chat/completions"
    (used,) = usage_of(session)
    assert {name: getattr(used, name) for name in USAGE} == USAGE


def test_the_usage_of_a_stream_without_it_is_estimated(call, upstream, session, monkeypatch):
    # Reasoning is not in the stream: the output is at least what the model can have generated in the time.
    monkeypatch.setattr(billed_call, "OUTPUT_TOKENS_PER_SECOND", 10**9)
    upstream.respond = streams([part for part in COMPLETION_EVENTS if b"completion_tokens" not in part])
    body = json.dumps({"model": "gpt-5", "stream": True, "max_completion_tokens": 50})
    call(CHAT_COMPLETIONS, data=body)
    (used,) = usage_of(session)
    assert (used.input_tokens, used.output_tokens) == (-(-len(body) // 3), 50)
    assert (used.model, used.is_whole) == ("gpt-5-2025-08-07", True)


@pytest.mark.parametrize(
    ("fields", "output_tokens"),
    [
        ({}, 128_000),
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 20}, 20),
        ({"max_tokens": 10, "max_completion_tokens": 20}, 20),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"max_tokens": 10, "n": None}, 10),
        ({"max_tokens": 10, "n": 0}, 1280),
        ({"max_tokens": 10, "n": 3.0}, 1280),
        ({"max_tokens": 10, "n": "many"}, 1280),
    ],
)
def test_a_completion_reserves_the_output_of_all_its_choices(
    candidate, upstream, assessment, fields, output_tokens
):
    assessment.update_columns(token_budget_nano_usd=100 * USD)
    upstream.respond = stay_open
    body = json.dumps({"model": "gpt-5"} | fields)
    running = candidate.request("POST", CHAT_COMPLETIONS, buffered=False, data=body)
    (reservation,) = ModelReservation.select()
    # $1.25 and $10 per million tokens.
    assert reservation.nano_usd == len(body) * 1250 + output_tokens * 10_000
    running.close()


def message(*parts):
    return {"messages": [{"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"web_search_options": {}}, 403, "hosted_tool_not_allowed"),
        ({"model": "gpt-4o-search-preview"}, 403, "hosted_tool_not_allowed"),
        ({"model": "gpt-5-search-api"}, 403, "hosted_tool_not_allowed"),
        ({"tools": [{"type": "web_search"}]}, 403, "hosted_tool_not_allowed"),
        (message({"type": "file", "file": {"file_id": "file-1"}}), 400, "stored_state_not_supported"),
        (message({"type": "file", "file": {"file_url": REMOTE}}), 400, "remote_input_not_supported"),
        (message({"type": "image_url", "image_url": {"url": REMOTE}}), 400, "remote_input_not_supported"),
        (message({"type": "image_url", "image_url": REMOTE}), 400, "remote_input_not_supported"),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, 400, "stored_state_not_supported"),
        ({"modalities": ["text", "audio"]}, 400, "surcharge_not_supported"),
        ({"audio": {"voice": "alloy"}}, 400, "surcharge_not_supported"),
        ({"service_tier": "priority"}, 400, "surcharge_not_supported"),
    ],
)  # fmt: skip
def test_what_costs_extra_or_belongs_to_others_is_rejected(call, upstream, fields, status, code):
    response = call(CHAT_COMPLETIONS, data=json.dumps(fields))
    assert error_of(response)[::2] == (status, code)
    assert upstream.requests == []


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "gpt-5", "n": 2, "stream_options": {"include_usage": True}, "store": True},
        {"modalities": ["text"], "audio": None, "web_search_options": None, "service_tier": "flex"},
        message({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}),
        message({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a"}}),
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": "web_search_options"}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]},
    ],
)  # fmt: skip
def test_other_requests_are_forwarded_unchanged(call, upstream, fields):
    body = json.dumps(fields)
    assert call(CHAT_COMPLETIONS, data=body).status_code == 200
    assert upstream.requests[0].body.decode() == body


def test_a_web_search_that_the_assessment_allows_is_forwarded(call, upstream, assessment):
    assessment.update_columns(allowed_tools=["codex", "web_search"])
    body = json.dumps({"model": "gpt-5-search-api", "web_search_options": {}})
    assert call(CHAT_COMPLETIONS, data=body).status_code == 200
    assert upstream.requests[0].body.decode() == body


def test_a_hosted_tool_is_removed(call, upstream):
    own = {"type": "function", "function": {"name": "f"}}
    call(CHAT_COMPLETIONS, data=json.dumps({"tools": [own, {"type": "web_search"}]}))
    assert json.loads(upstream.requests[0].body) == {"tools": [own]}


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_is_read_in_any_pieces(size):
    reader = UsageReader("chat_completions", "text/event-stream")
    body = b"".join(COMPLETION_EVENTS)
    end = body.index(b"[DONE]")
    for start in range(0, end, size):
        reader.feed(body[start : min(start + size, end)])
    assert not reader.is_complete
    reader.feed(body[end:])
    assert reader.is_complete
    assert reader.usage() == ("gpt-5-2025-08-07", {"input": 600, "output": 200, "cacheRead": 400})


def test_the_output_of_an_interrupted_stream_is_estimated_from_its_text():
    reader = UsageReader("chat_completions", "text/event-stream")
    call = {"index": 0, "function": {"arguments": "123456"}}
    for delta in ({"content": "12345678"}, {"reasoning_content": "1234"}, {"tool_calls": [call]}):
        reader.feed(data_event({"model": "m", "choices": [{"delta": delta}], "usage": None}))
    assert reader.estimated_output() == (8 + 4 + 6) // 3
    assert not reader.has_total
