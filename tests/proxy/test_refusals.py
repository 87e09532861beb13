"""Refusals of the proxies, in the provider's error format."""

import socket

import pytest
from callers import Caller
from factories import make_key

from models import Assessment, ModelUsage, sessions
from tests.proxy.conftest import STREAMS
from tests.proxy.upstream import (
    MESSAGE_NANO_USD,
    MESSAGES,
    RESPONSES,
    STREAMING_BODY,
    documents,
    stay_open,
)

MAX_BYTES = 32 * 1024 * 1024
BOTH = pytest.mark.parametrize("path", [MESSAGES, RESPONSES])


def refusal(response):
    """(status, type, code) of a refusal, whose format is checked."""
    body = response.json
    error = body["error"]
    assert isinstance(error["message"], str)
    if "/anthropic/" in response.request.path:
        assert set(body) == {"type", "error"}
        assert body["type"] == "error"
        assert set(error) == {"type", "message", "code"}
    else:
        assert set(body) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
    return response.status_code, error["type"], error["code"]


def call(caller, path, **options):
    options = {"data": STREAMING_BODY, "content_type": "application/json"} | options
    return caller.request("POST", path, buffered=True, **options)


# Callers


@BOTH
def test_a_key_is_accepted_in_either_header(candidate, app, key, path):
    for header, value in [("X-API-Key", key.key.lower()), ("Authorization", f"bearer {key.key}")]:
        assert call(Caller(app, **{header: value}), path).status_code == 200


@BOTH
def test_authorization_takes_precedence(candidate, app, key, path, upstream):
    for bearer, api_key, status in [(key.key, "PST-AAAA-AAAA", 200), ("PST-AAAA-AAAA", key.key, 401)]:
        both = Caller(app, **{"Authorization": f"Bearer {bearer}", "X-API-Key": api_key})
        assert call(both, path).status_code == status
    assert len(upstream.requests) == 1


@BOTH
def test_other_callers_are_refused(candidate, anonymous, reviewer, app, path, upstream):
    wrong = [Caller(app, Authorization="Basic x"), Caller(app, **{"X-API-Key": "x"})]
    for caller in (anonymous, reviewer, *wrong):
        response = call(caller, path)
        assert refusal(response) == (401, "authentication_error", "unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert upstream.requests == []


@BOTH
def test_a_call_needs_an_open_session(candidate, app, assessment, session, path, upstream):
    response = call(Caller.candidate(app, make_key(assessment)), path)
    assert refusal(response) == (409, "invalid_request_error", "not_redeemed")
    assert response.headers["X-Should-Retry"] == "false"
    sessions.complete(session)
    assert refusal(call(candidate, path)) == (409, "invalid_request_error", "session_closed")
    assert upstream.requests == []


def test_a_session_past_its_time_limit_is_closed(candidate, session, clock):
    session.update_columns(closes_at=clock.fixed)
    assert refusal(call(candidate, MESSAGES))[2] == "session_closed"


# Paths and bodies


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/anthropic/v1/messages"),
        ("POST", "/anthropic/v1/messages/batches"),
        ("POST", "/anthropic/v1/complete"),
        ("POST", "/anthropic/v1/files"),
        ("GET", "/anthropic/v1/models/.."),
        ("GET", "/anthropic/v1/models/..%2forganizations"),
        ("GET", "/anthropic/v1/models/a%3Fb"),
        ("GET", "/anthropic/v1/organizations/users"),
        ("DELETE", "/anthropic/v1/models/claude"),
        ("POST", "/openai/v1/chat/completions"),
        ("GET", "/openai/v1/responses"),
        ("GET", "/openai/v1/responses/resp_1"),
        ("DELETE", "/openai/v1/responses/resp_1"),
        ("GET", "/openai/v1/files"),
        ("POST", "/openai/v1/v1/responses"),
        ("PUT", "/openai/x"),
    ],
)
def test_other_paths_are_refused(candidate, anonymous, upstream, method, path):
    assert refusal(candidate.request(method, f"/v1/proxy{path}"))[::2] == (404, "not_found")
    assert refusal(anonymous.request(method, f"/v1/proxy{path}"))[0] == 401
    assert upstream.requests == []


def test_other_providers_do_not_exist(candidate):
    response = candidate.request("POST", "/v1/proxy/others/v1/messages")
    assert (response.status_code, response.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "error_type"), [(MESSAGES, "request_too_large"), (RESPONSES, "invalid_request_error")]
)
def test_a_body_has_up_to_32_mebibytes(candidate, upstream, path, error_type):
    assert call(candidate, path, data=b"x" * MAX_BYTES).status_code == 200
    assert refusal(call(candidate, path, data=b"x" * (MAX_BYTES + 1))) == (413, error_type, "too_large")
    assert len(upstream.requests) == 1


# Settings, budget, stream slots


@pytest.mark.parametrize(
    ("path", "setting"), [(MESSAGES, "ANTHROPIC_API_KEY"), (RESPONSES, "OPENAI_API_KEY")]
)
def test_a_missing_provider_key_is_named(candidate, forward_to, upstream, path, setting):
    forward_to(upstream.address, anthropic=None, openai=None)
    response = call(candidate, path)
    assert refusal(response) == (403, "permission_error", "no_provider_key")
    assert setting in response.json["error"]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("path", "error_type"), [(MESSAGES, "billing_error"), (RESPONSES, "insufficient_quota")]
)
def test_a_spent_budget_refuses_further_calls(candidate, assessment, session, path, error_type):
    budget = Assessment.update(token_budget_nano_usd=MESSAGE_NANO_USD + 1)
    budget.where(Assessment.id == assessment.id).execute()
    assert [call(candidate, MESSAGES).status_code for _ in range(2)] == [200, 200]
    assert refusal(call(candidate, path)) == (402, error_type, "token_budget_spent")
    assert ModelUsage.spent_nano_usd(session) == 2 * MESSAGE_NANO_USD


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (MESSAGES, (529, "overloaded_error", "too_many_streams")),
        (RESPONSES, (429, "rate_limit_error", "too_many_streams")),
    ],
)
def test_a_call_without_a_free_stream_slot_is_refused(candidate, upstream, path, expected):
    upstream.respond = stay_open
    running = [candidate.request("POST", path, data=STREAMING_BODY) for _ in range(STREAMS)]
    response = call(candidate, path)
    assert refusal(response) == expected
    assert response.headers["Retry-After"] == "2"
    running.pop().close()
    upstream.respond = documents(200, {})
    assert call(candidate, path).status_code == 200
    running.pop().close()


def test_a_refusal_frees_its_stream_slot(candidate, upstream):
    upstream.respond = documents(307, {}, Location="/elsewhere")
    for _ in range(STREAMS + 1):
        assert call(candidate, MESSAGES).status_code == 502
        assert call(candidate, MESSAGES, data=b"x" * (MAX_BYTES + 1)).status_code == 413
    upstream.respond = documents(200, {})
    assert call(candidate, MESSAGES).status_code == 200


# Failing providers


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_neither_followed_nor_returned(candidate, upstream, path, status):
    upstream.respond = documents(status, {}, Location=f"{upstream.address}/elsewhere")
    response = call(candidate, path)
    assert refusal(response)[::2] == (502, "provider_redirects")
    assert "Location" not in response.headers
    assert len(upstream.requests) == 1


@BOTH
def test_a_refused_connection_is_502(candidate, forward_to, path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    forward_to(address)
    assert refusal(call(candidate, path))[::2] == (502, "provider_unreachable")


@BOTH
@pytest.mark.parametrize("sent", [b"", b"SSH-2.0-OpenSSH\r\n"])
def test_a_provider_that_sends_no_response_is_502(candidate, upstream, path, sent):
    def respond(exchange):
        exchange.wfile.write(sent)
        exchange.disconnect()

    upstream.respond = respond
    assert refusal(call(candidate, path))[::2] == (502, "provider_unreachable")


@pytest.mark.parametrize(("path", "error_type"), [(MESSAGES, "timeout_error"), (RESPONSES, "server_error")])
def test_a_silent_provider_is_504(candidate, forward_to, upstream, path, error_type):
    forward_to(upstream.address, read_seconds=0.1)
    upstream.respond = lambda exchange: exchange.wait_for_disconnect()
    assert refusal(call(candidate, path)) == (504, error_type, "provider_timeout")
