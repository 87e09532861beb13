"""OpenAI's Chat Completions are checked and billed like the Responses API (R42)."""

import json

import pytest

from models import ModelReservation
from proxy import billed_call
from proxy.usage_reader import UsageReader
from tests.proxy.test_error_responses import error_of
from tests.proxy.upstream import CHAT_COMPLETIONS, COMPLETION_EVENTS, data_event, stay_open, streams

USD = 10**9
REMOTE = "https://example.com/a.png"


def test_unreported_usage_of_a_stream_is_estimated(call, upstream, usage, monkeypatch):
    # The stream does not contain the reasoning: assume the maximum output that the model can have generated.
    monkeypatch.setattr(billed_call, "OUTPUT_TOKENS_PER_SECOND", 10**9)
    upstream.respond = streams([part for part in COMPLETION_EVENTS if b"completion_tokens" not in part])
    body = json.dumps({"model": "gpt-5", "stream": True, "max_completion_tokens": 50})
    call(CHAT_COMPLETIONS, data=body)
    (used,) = usage()
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
def test_a_completion_reserves_the_output_of_all_choices(
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


def user_message(*parts):
    return {"messages": [{"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"web_search_options": {}}, 403, "hosted_tool_not_allowed"),
        ({"model": "gpt-4o-search-preview"}, 403, "hosted_tool_not_allowed"),
        ({"model": "gpt-5-search-api"}, 403, "hosted_tool_not_allowed"),
        ({"tools": [{"type": "web_search"}]}, 403, "hosted_tool_not_allowed"),
        (user_message({"type": "file", "file": {"file_id": "file-1"}}), 400, "stored_state_not_supported"),
        (user_message({"type": "file", "file": {"file_url": REMOTE}}), 400, "remote_input_not_supported"),
        (user_message({"type": "image_url", "image_url": {"url": REMOTE}}), 400, "remote_input_not_supported"),
        (user_message({"type": "image_url", "image_url": REMOTE}), 400, "remote_input_not_supported"),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, 400, "stored_state_not_supported"),
        ({"modalities": ["text", "audio"]}, 400, "surcharge_not_supported"),
        ({"audio": {"voice": "alloy"}}, 400, "surcharge_not_supported"),
        ({"service_tier": "priority"}, 400, "surcharge_not_supported"),
    ],
)  # fmt: skip
def test_surcharges_and_stored_or_remote_data_are_rejected(call, upstream, fields, status, code):
    response = call(CHAT_COMPLETIONS, data=json.dumps(fields))
    assert error_of(response)[::2] == (status, code)
    assert upstream.requests == []


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "gpt-5", "n": 2, "stream_options": {"include_usage": True}, "store": True},
        {"modalities": ["text"], "audio": None, "web_search_options": None, "service_tier": "flex"},
        user_message({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}),
        user_message({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a"}}),
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


def test_an_interrupted_streams_output_is_estimated_from_its_text():
    reader = UsageReader("chat_completions", "text/event-stream")
    call = {"index": 0, "function": {"arguments": "123456"}}
    for delta in ({"content": "12345678"}, {"reasoning_content": "1234"}, {"tool_calls": [call]}):
        reader.feed(data_event({"model": "m", "choices": [{"delta": delta}], "usage": None}))
    assert reader.estimated_output() == (8 + 4 + 6) // 3
    assert not reader.has_total
