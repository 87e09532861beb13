"""What goes to a provider, what comes back, and what is kept of it (client contract, section 3.16)."""

import gzip
import json
from itertools import islice

import pytest
from callers import Caller
from factories import make_key, make_session

from models import ModelUsage
from tests.proxy.upstream import (
    MESSAGE,
    MESSAGE_EVENTS,
    MESSAGE_NANO_USD,
    RESPONSE,
    RESPONSE_EVENTS,
    RESPONSE_NANO_USD,
    START,
    documents,
    streams,
)

MESSAGES = "/v1/proxy/anthropic/v1/messages"
RESPONSES = "/v1/proxy/openai/v1/responses"


def call(candidate, path, method="POST", **options):
    """The whole answer, read to its end as a client does."""
    if method == "POST":
        options.setdefault("data", b'{"model": "m", "stream": true}')
        options.setdefault("content_type", "application/json")
    return candidate.request(method, path, buffered=True, **options)


def usage_of(session):
    return list(ModelUsage.select().where(ModelUsage.session == session).order_by(ModelUsage.id))


# What goes out


def test_the_candidates_credential_is_replaced_by_the_providers_key(candidate, upstream, key):
    call(candidate, MESSAGES, headers={"Authorization": f"Bearer {key.key}"})
    call(candidate, RESPONSES, headers={"Authorization": f"Bearer {key.key}"})
    to_anthropic, to_openai = upstream.requests
    assert to_anthropic.headers["X-Api-Key"] == "sk-ant-ours"
    assert "Authorization" not in to_anthropic.headers
    assert to_openai.headers["Authorization"] == "Bearer sk-ours"
    assert "X-Api-Key" not in to_openai.headers
    assert key.key not in f"{to_anthropic.headers}{to_openai.headers}"


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("POST", "/anthropic/v1/messages?beta=true&x=a%20b", "/v1/messages?beta=true&x=a%20b"),
        ("POST", "/anthropic/v1/messages/count_tokens?beta=true", "/v1/messages/count_tokens?beta=true"),
        ("GET", "/anthropic/v1/models?limit=1000", "/v1/models?limit=1000"),
        ("GET", "/anthropic/v1/models/claude-haiku-4-5", "/v1/models/claude-haiku-4-5"),
        ("POST", "/openai/v1/responses", "/v1/responses"),
        ("GET", "/openai/v1/models?client_version=0.99.0", "/v1/models?client_version=0.99.0"),
    ],
)
def test_what_the_two_tools_need_is_forwarded_with_its_query(candidate, upstream, method, path, target):
    assert call(candidate, f"/v1/proxy{path}", method).status_code == 200
    (request,) = upstream.requests
    assert (request.method, request.target) == (method, target)


@pytest.mark.parametrize("body", [b'{"model":"m" ,"n":1.0}', bytes(range(256)) * 4000])
def test_the_body_goes_out_byte_by_byte(candidate, upstream, body):
    call(candidate, MESSAGES, data=body)
    (request,) = upstream.requests
    assert request.body == body
    assert request.headers["Content-Length"] == str(len(body))


def test_headers_go_out_save_those_of_the_connection_and_of_the_way_here(candidate, upstream):
    kept = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "a,b",
        "User-Agent": "claude-cli",
        "X-App": "cli",
    }
    dropped = {
        "Connection": "keep-alive, X-Private", "X-Private": "1", "Keep-Alive": "5", "TE": "trailers",
        "Upgrade": "h2c", "Proxy-Authorization": "Basic x", "Cookie": "a=b", "X-Forwarded-For": "192.0.2.7",
        "Forwarded": "for=192.0.2.7", "CF-Connecting-IP": "192.0.2.7", "X-Promptster-CLI-Version": "1.10.0",
        "OpenAI-Organization": "org-theirs",
    }  # fmt: skip
    call(candidate, MESSAGES, headers=kept | dropped)
    (request,) = upstream.requests
    assert {name: request.headers[name] for name in kept} == kept
    assert not [name for name in dropped if name != "Connection" and name in request.headers]
    assert "192.0.2.7" not in str(request.headers)
    assert request.headers["Host"] == upstream.address.removeprefix("http://")


def test_the_provider_is_asked_for_bytes_that_are_not_packed(candidate, upstream):
    call(candidate, MESSAGES, headers={"Accept-Encoding": "gzip, br, zstd"})
    assert upstream.requests[0].headers["Accept-Encoding"] == "identity"


# What comes back


@pytest.mark.parametrize(("path", "pieces"), [(MESSAGES, MESSAGE_EVENTS), (RESPONSES, RESPONSE_EVENTS)])
def test_a_stream_comes_back_byte_by_byte(candidate, upstream, path, pieces):
    upstream.behave = streams(pieces)
    answer = call(candidate, path)
    assert answer.status_code == 200
    assert answer.data == b"".join(pieces)
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 413, 418, 429, 500, 529])
def test_answers_and_errors_of_the_provider_come_back_unchanged(candidate, upstream, status):
    error = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Ünchanged"},
        "request_id": "req_1",
    }
    upstream.behave = documents(status, error, Retry_After="7", Request_Id="req_1", X_Should_Retry="true")
    answer = call(candidate, MESSAGES)
    assert answer.status_code == status
    assert answer.data == json.dumps(error).encode()
    told = {
        name: answer.headers[name] for name in ("Retry-After", "Request-Id", "X-Should-Retry", "Content-Type")
    }
    assert told == {
        "Retry-After": "7", "Request-Id": "req_1", "X-Should-Retry": "true", "Content-Type": "application/json",
    }  # fmt: skip


def test_a_packed_answer_comes_back_packed(candidate, upstream, session):
    packed = gzip.compress(json.dumps(MESSAGE).encode())
    upstream.behave = lambda exchange: exchange.document(200, packed, Content_Encoding="gzip")
    answer = call(candidate, MESSAGES)
    assert answer.data == packed
    assert answer.headers["Content-Encoding"] == "gzip"
    assert usage_of(session)[0].input_tokens == 1000


def test_headers_that_speak_of_the_providers_own_address_stay_out(candidate, upstream):
    headers = {
        "Set_Cookie": "a=b",
        "Alt_Svc": "h3",
        "Strict_Transport_Security": "max-age=1",
        "Connection": "X-Hop",
    }
    upstream.behave = documents(200, MESSAGE, **headers, X_Hop="1", Keep_Alive="5")
    answer = call(candidate, MESSAGES)
    for name in ("Set-Cookie", "Alt-Svc", "Strict-Transport-Security", "X-Hop", "Keep-Alive", "Server"):
        assert name not in answer.headers


def test_an_answer_without_a_content_type_gets_none(candidate, upstream):
    upstream.behave = lambda exchange: exchange.head(200, Content_Length="0")
    assert "Content-Type" not in call(candidate, MESSAGES).headers


def test_a_huge_answer_comes_back_whole(candidate, upstream):
    body = b"x" * (40 * 1024 * 1024)
    upstream.behave = lambda exchange: exchange.document(200, body)
    assert call(candidate, MESSAGES).data == body


# What is kept


def test_a_messages_usage_is_kept_with_the_session(candidate, upstream, session, clock):
    call(candidate, MESSAGES)
    (used,) = usage_of(session)
    assert (used.provider, used.model) == ("anthropic", "claude-haiku-4-5-20251001")
    assert (used.input_tokens, used.output_tokens, used.cache_read_tokens) == (1000, 200, 10_000)
    assert (used.cache_write_tokens, used.cache_write_1h_tokens) == (None, None)
    assert used.cost_nano_usd == MESSAGE_NANO_USD
    assert (used.status_code, used.is_whole) == (200, True)
    assert used.started_at == used.ended_at == clock.fixed


@pytest.mark.parametrize("behave", [documents(200, RESPONSE), streams(RESPONSE_EVENTS)])
def test_a_responses_usage_is_kept_with_the_session(candidate, upstream, session, behave):
    upstream.behave = behave
    call(candidate, RESPONSES)
    (used,) = usage_of(session)
    assert (used.provider, used.model) == ("openai", "gpt-5-2025-08-07")
    assert (used.input_tokens, used.output_tokens, used.cache_read_tokens) == (600, 200, 400)
    assert used.cost_nano_usd == RESPONSE_NANO_USD


def test_a_stream_of_a_message_costs_what_the_same_message_costs_at_once(candidate, upstream, session):
    upstream.behave = streams(MESSAGE_EVENTS)
    call(candidate, MESSAGES)
    assert usage_of(session)[0].cost_nano_usd == MESSAGE_NANO_USD


def test_a_model_without_a_price_has_tokens_and_no_cost(candidate, upstream, session):
    upstream.behave = documents(200, MESSAGE | {"model": "claude-nobody-knows"})
    call(candidate, MESSAGES)
    (used,) = usage_of(session)
    assert (used.input_tokens, used.cost_nano_usd) == (1000, None)


def test_an_error_of_the_provider_is_kept_as_a_call_that_used_nothing_known(candidate, upstream, session):
    upstream.behave = documents(
        529, {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    )
    call(candidate, MESSAGES)
    (used,) = usage_of(session)
    assert (used.status_code, used.model, used.input_tokens, used.cost_nano_usd) == (529, None, None, None)


def test_an_answer_that_the_client_leaves_has_used_what_was_reported_till_then(candidate, upstream, session):
    def behave(exchange):
        exchange.begin_stream()
        exchange.piece(START)
        exchange.sees_a_hangup()

    upstream.behave = behave
    answer = candidate.request("POST", MESSAGES, data=b"{}")
    assert b"".join(islice(answer.response, 2)) == START
    answer.close()
    (used,) = usage_of(session)
    assert (used.input_tokens, used.output_tokens, used.is_whole) == (1000, 1, False)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", f"{MESSAGES}/count_tokens"), ("GET", "/v1/proxy/anthropic/v1/models")]
)
def test_what_costs_nothing_is_not_kept(candidate, upstream, session, method, path):
    upstream.behave = documents(200, {"input_tokens": 14})
    call(candidate, path, method)
    assert usage_of(session) == []


def test_spending_adds_up_the_sessions_own_calls(candidate, app, assessment, upstream, session):
    other = make_key(assessment)
    make_session(other)
    for caller in (candidate, candidate, Caller.candidate(app, other)):
        call(caller, MESSAGES)
    assert ModelUsage.spent(session) == 2 * MESSAGE_NANO_USD


def test_nothing_of_prompt_or_answer_is_in_a_row(candidate, upstream, session):
    call(candidate, MESSAGES, data=json.dumps({"model": "m", "prompt": "a secret question"}))
    (used,) = usage_of(session)
    assert "secret" not in str(used.__data__)
    assert "Grüße" not in str(used.__data__)
