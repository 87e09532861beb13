"""What the proxies refuse, in the shape that the provider's own clients read; streaming requests too."""

import socket

import pytest
from callers import Caller
from factories import make_key

from models import Assessment, ModelUsage, sessions
from tests.proxy.conftest import STREAMS
from tests.proxy.upstream import MESSAGE_NANO_USD, START, documents

ANTHROPIC = "/v1/proxy/anthropic/v1/messages"
OPENAI = "/v1/proxy/openai/v1/responses"
BOTH = pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
STREAMING = b'{"model": "m", "stream": true}'


def refusal(answer):
    """(status, type, code) of a refusal, after a look at its provider's shape."""
    body = answer.json
    error = body["error"]
    assert isinstance(error["message"], str)
    if "/anthropic/" in answer.request.path:
        assert set(body) == {"type", "error"}
        assert body["type"] == "error"
        assert set(error) == {"type", "message", "code"}
    else:
        assert set(body) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error["type"], error["code"]


def call(caller, path, **options):
    options = {"data": STREAMING, "content_type": "application/json"} | options
    return caller.request("POST", path, buffered=True, **options)


# Who may call


@BOTH
def test_a_key_counts_in_either_header(candidate, app, key, path):
    for header, value in [("X-API-Key", key.key.lower()), ("Authorization", f"bearer {key.key}")]:
        assert call(Caller(app, **{header: value}), path).status_code == 200


@BOTH
def test_where_both_headers_are_sent_authorization_decides(candidate, app, key, path, upstream):
    right, wrong = key.key, "PST-AAAA-AAAA"
    both = Caller(app, **{"Authorization": f"Bearer {right}", "X-API-Key": wrong})
    assert call(both, path).status_code == 200
    both = Caller(app, **{"Authorization": f"Bearer {wrong}", "X-API-Key": right})
    assert call(both, path).status_code == 401
    assert len(upstream.requests) == 1


@BOTH
def test_nobody_else_may_call(candidate, anonymous, reviewer, app, path, upstream):
    for caller in (
        anonymous,
        reviewer,
        Caller(app, Authorization="Basic x"),
        Caller(app, **{"X-API-Key": "x"}),
    ):
        answer = call(caller, path)
        assert refusal(answer) == (401, "authentication_error", "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert upstream.requests == []


@BOTH
def test_before_the_session_has_begun_there_is_no_model(candidate, app, assessment, path):
    answer = call(Caller.candidate(app, make_key(assessment)), path)
    assert refusal(answer) == (409, "invalid_request_error", "not_redeemed")
    assert answer.headers["X-Should-Retry"] == "false"


@BOTH
def test_after_the_sessions_end_there_is_no_model(candidate, session, path, upstream):
    sessions.complete(session)
    assert refusal(call(candidate, path)) == (409, "invalid_request_error", "session_closed")
    assert upstream.requests == []


def test_after_the_time_limit_there_is_no_model_although_nobody_has_noticed_it(candidate, session, clock):
    session.update_columns(closes_at=clock.fixed)
    assert refusal(call(candidate, ANTHROPIC))[2] == "session_closed"


# What may be called


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


def test_there_is_no_third_provider(candidate):
    answer = candidate.request("POST", "/v1/proxy/others/v1/messages")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "kind"), [(ANTHROPIC, "request_too_large"), (OPENAI, "invalid_request_error")]
)
def test_a_request_of_more_than_32_mebibytes_is_refused(candidate, upstream, path, kind):
    limit = 32 * 1024 * 1024
    assert call(candidate, path, data=b"x" * limit).status_code == 200
    assert refusal(call(candidate, path, data=b"x" * (limit + 1))) == (413, kind, "too_large")
    assert len(upstream.requests) == 1


# Settings, budget, cap


@pytest.mark.parametrize(("path", "setting"), [(ANTHROPIC, "ANTHROPIC_API_KEY"), (OPENAI, "OPENAI_API_KEY")])
def test_without_a_key_in_the_settings_the_candidate_is_told_what_to_do(
    candidate, forward_to, upstream, path, setting
):
    forward_to(upstream.address, anthropic=None, openai=None)
    answer = call(candidate, path)
    assert refusal(answer) == (403, "permission_error", "no_provider_key")
    assert setting in answer.json["error"]["message"]
    assert "tell whoever invited you" in answer.json["error"]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize(("path", "kind"), [(ANTHROPIC, "billing_error"), (OPENAI, "insufficient_quota")])
def test_a_budget_ends_it(candidate, assessment, session, path, kind):
    budget = Assessment.update(token_budget_nano_usd=MESSAGE_NANO_USD + 1)
    budget.where(Assessment.id == assessment.id).execute()
    assert [call(candidate, ANTHROPIC).status_code for _ in range(2)] == [200, 200]
    assert refusal(call(candidate, path)) == (402, kind, "token_budget_spent")
    assert ModelUsage.spent(session) == 2 * MESSAGE_NANO_USD


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (ANTHROPIC, (529, "overloaded_error", "too_many_streams")),
        (OPENAI, (429, "rate_limit_error", "too_many_streams")),
    ],
)
def test_more_streams_than_the_cap_are_refused_until_one_ends(candidate, upstream, path, expected):
    def stay_open(exchange):
        exchange.begin_stream()
        exchange.piece(START)
        exchange.sees_a_hangup()

    upstream.behave = stay_open
    running = [candidate.request("POST", path, data=STREAMING) for _ in range(STREAMS)]
    answer = call(candidate, path)
    assert refusal(answer) == expected
    assert answer.headers["Retry-After"] == "2"
    running.pop().close()
    upstream.behave = documents(200, {})
    assert call(candidate, path).status_code == 200
    running.pop().close()


def test_a_refusal_leaves_no_place_occupied(candidate, forward_to, upstream, app, key):
    upstream.behave = documents(307, {}, Location="/elsewhere")
    for _ in range(STREAMS + 1):
        assert call(candidate, ANTHROPIC).status_code == 502
        assert call(candidate, ANTHROPIC, data=b"x" * (32 * 1024 * 1024 + 1)).status_code == 413
    upstream.behave = documents(200, {})
    assert call(candidate, ANTHROPIC).status_code == 200


# The provider fails


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_neither_followed_nor_passed_on(candidate, upstream, path, status):
    upstream.behave = documents(status, {}, Location=f"{upstream.address}/elsewhere")
    answer = call(candidate, path)
    assert refusal(answer)[::2] == (502, "provider_redirects")
    assert "Location" not in answer.headers
    assert len(upstream.requests) == 1


@BOTH
def test_a_provider_that_is_not_there_is_502(candidate, forward_to, path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    forward_to(address)
    assert refusal(call(candidate, path))[::2] == (502, "provider_unreachable")


@BOTH
def test_a_provider_that_hangs_up_before_its_answer_is_502(candidate, upstream, path):
    upstream.behave = lambda exchange: exchange.break_off()
    assert refusal(call(candidate, path))[::2] == (502, "provider_unreachable")


def test_a_provider_that_speaks_no_http_is_502(candidate, upstream):
    def behave(exchange):
        exchange.wfile.write(b"SSH-2.0-OpenSSH\r\n")
        exchange.break_off()

    upstream.behave = behave
    assert refusal(call(candidate, ANTHROPIC))[::2] == (502, "provider_unreachable")


@pytest.mark.parametrize(("path", "kind"), [(ANTHROPIC, "timeout_error"), (OPENAI, "server_error")])
def test_a_silent_provider_is_504(candidate, forward_to, upstream, path, kind):
    forward_to(upstream.address, read_seconds=0.1)
    upstream.behave = lambda exchange: exchange.sees_a_hangup()
    assert refusal(call(candidate, path)) == (504, kind, "provider_timeout")
