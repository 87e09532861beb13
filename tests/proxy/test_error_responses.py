"""The proxies' errors, in each provider's format."""

import io
import socket
from datetime import timedelta

import pytest
from callers import Caller
from factories import make_key

from models import ModelUsage, sessions
from tests.proxy.conftest import STREAMS, THREADS
from tests.proxy.upstream import MESSAGE_NANO_USD, MESSAGES, RESPONSES, documents, stay_open

MAX_BYTES = 32 * 1024 * 1024
BOTH = pytest.mark.parametrize("path", [MESSAGES, RESPONSES])


def typed(anthropic, openai):
    """Parametrize by path and the provider's error type."""
    return pytest.mark.parametrize(("path", "error_type"), [(MESSAGES, anthropic), (RESPONSES, openai)])


def error_of(response):
    """Check an error's format, and return its status, type and code."""
    body = response.json
    error = body["error"]
    assert isinstance(error["message"], str)
    if "/anthropic/" in response.request.path:
        assert body == {"type": "error", "error": error}
        assert set(error) == {"type", "message", "code"}
    else:
        assert body == {"error": error}
        assert set(error) == {"message", "type", "param", "code"}
    return response.status_code, error["type"], error["code"]


@BOTH
def test_either_header_accepts_a_key_and_authorization_takes_precedence(call, app, key, path, upstream):
    other = "PST-AAAA-AAAA"
    for status, headers in [
        (200, {"X-API-Key": key.key.lower()}),
        (200, {"Authorization": f"bearer {key.key}"}),
        (200, {"Authorization": f"Bearer {key.key}", "X-API-Key": other}),
        (401, {"Authorization": f"Bearer {other}", "X-API-Key": key.key}),
    ]:
        assert call(path, Caller(app, **headers)).status_code == status
    assert len(upstream.requests) == 3


@BOTH
def test_callers_without_a_candidate_key_are_rejected(call, anonymous, reviewer, app, path, upstream):
    invalid = [Caller(app, Authorization="Basic x"), Caller(app, **{"X-API-Key": "x"})]
    for caller in (anonymous, reviewer, *invalid):
        response = call(path, caller)
        assert error_of(response) == (401, "authentication_error", "unauthorized")
        assert "x-api-key" not in response.text.lower()  # which makes Claude Code say "Please run /login"
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert upstream.requests == []


@BOTH
def test_a_call_needs_an_open_session(call, app, assessment, session, path, upstream):
    response = call(path, Caller.candidate(app, make_key(assessment)))
    assert error_of(response) == (409, "invalid_request_error", "not_redeemed")
    assert response.headers["X-Should-Retry"] == "false"
    sessions.complete(session)
    closed = call(path)
    assert error_of(closed) == (409, "invalid_request_error", "session_closed")
    assert "Your page shows whether you can still submit." in closed.text
    assert upstream.requests == []


def test_a_session_past_its_time_limit_is_closed(call, session, clock):
    session.update_columns(closes_at=clock.fixed)
    assert error_of(call(MESSAGES))[2] == "session_closed"


@BOTH
def test_models_are_available_for_24_hours_without_a_time_limit(call, session, clock, path, upstream):
    session.update_columns(created_at=clock.fixed, closes_at=None)
    clock.fixed += timedelta(hours=24) - timedelta(milliseconds=1)
    assert call(path).status_code == 200
    clock.fixed += timedelta(milliseconds=1)
    response = call(path)
    assert error_of(response) == (403, "permission_error", "model_access_expired")
    assert response.headers["X-Should-Retry"] == "false"
    assert len(upstream.requests) == 1
    session.update_columns(closes_at=clock.fixed + timedelta(hours=1))
    assert call(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "paths"),
    [
        ("GET", ["/anthropic/v1/messages", "/anthropic/v1/organizations/users", "/openai/v1/responses",
                 "/openai/v1/responses/resp_1", "/openai/v1/files", "/anthropic/v1/models/..",
                 "/anthropic/v1/models/..%2forganizations", "/anthropic/v1/models/a%3Fb"]),
        ("POST", ["/anthropic/v1/messages/batches", "/anthropic/v1/complete", "/anthropic/v1/files",
                  "/openai/v1/completions", "/openai/v1/v1/responses"]),
        ("PUT", ["/openai/x"]),
        ("DELETE", ["/anthropic/v1/models/claude", "/openai/v1/responses/resp_1"]),
    ],
)  # fmt: skip
def test_other_paths_are_rejected(candidate, anonymous, upstream, method, paths):
    for path in paths:
        assert error_of(candidate.request(method, f"/v1/proxy{path}"))[::2] == (404, "not_found"), path
        assert error_of(anonymous.request(method, f"/v1/proxy{path}"))[0] == 401, path
    assert upstream.requests == []


def test_an_unknown_provider_is_not_found(candidate):
    response = candidate.request("POST", "/v1/proxy/others/v1/messages")
    assert (response.status_code, response.json["code"]) == (404, "not_found")


@typed("request_too_large", "invalid_request_error")
def test_a_body_can_have_32_mebibytes(call, upstream, path, error_type):
    body = b'{"text": "%b"}' % (b"x" * (MAX_BYTES - 12))
    assert call(path, data=body).status_code == 200
    assert error_of(call(path, data=body + b" ")) == (413, error_type, "too_large")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("path", "setting"), [(MESSAGES, "ANTHROPIC_API_KEY"), (RESPONSES, "OPENAI_API_KEY")]
)
def test_a_missing_provider_key_is_named(call, forward_to, upstream, path, setting):
    forward_to(upstream.address, anthropic=None, openai=None)
    response = call(path)
    assert error_of(response) == (403, "permission_error", "no_provider_key")
    assert setting in response.json["error"]["message"]
    assert upstream.requests == []


@typed("billing_error", "insufficient_quota")
@pytest.mark.parametrize("budget", [MESSAGE_NANO_USD + 1, 2 * MESSAGE_NANO_USD])
def test_calls_are_rejected_once_the_budget_is_spent(call, assessment, session, path, error_type, budget):
    assessment.update_columns(token_budget_nano_usd=budget)
    assert [call(MESSAGES).status_code for _ in range(2)] == [200, 200]
    assert error_of(call(path)) == (402, error_type, "token_budget_spent")
    assert ModelUsage.spent_nano_usd(session) == 2 * MESSAGE_NANO_USD


@pytest.mark.parametrize(
    ("path", "status", "error_type"),
    [(MESSAGES, 529, "overloaded_error"), (RESPONSES, 503, "server_error")],
)
def test_a_call_without_a_free_stream_slot_is_rejected(call, candidate, upstream, path, status, error_type):
    upstream.respond = stay_open
    # A model for which the default budget allows several calls.
    body = b'{"model": "gpt-5-mini"}'
    running = [candidate.request("POST", path, buffered=False, data=body) for _ in range(STREAMS)]
    response = call(path)
    assert error_of(response) == (status, error_type, "too_many_streams")
    assert response.headers["Retry-After"] == "5"
    assert "X-Should-Retry" not in response.headers
    running.pop().close()
    upstream.respond = documents(200, {})
    assert call(path).status_code == 200
    running.pop().close()


class ArrivingBody(io.BytesIO):
    """A request's body. Calls `on_arrival` before the first byte is read."""

    def __init__(self, on_arrival):
        super().__init__(b"{}")
        self.on_arrival = on_arrival

    def readinto(self, buffer):
        if self.tell() == 0:
            self.on_arrival()
        return super().readinto(buffer)


@pytest.mark.parametrize("path", [MESSAGES, f"{MESSAGES}/count_tokens"])
def test_a_call_whose_body_is_arriving_occupies_a_thread_but_no_stream_slot(call, candidate, path):
    """The first THREADS calls succeed, although there are fewer slots; the next one is rejected."""
    statuses = []

    def start_calls(number):
        if number:
            body = ArrivingBody(lambda: start_calls(number - 1))
            response = candidate.request("POST", path, input_stream=body, content_length=2)
            statuses.append(response.status_code)

    start_calls(THREADS + 1)
    assert statuses == [529] + [200] * THREADS
    assert call(path).status_code == 200


def test_an_error_releases_its_stream_slot(call, upstream):
    upstream.respond = documents(307, {}, Location="/elsewhere")
    for _ in range(STREAMS + 1):
        assert call(MESSAGES).status_code == 502
        assert call(MESSAGES, data=b"x" * (MAX_BYTES + 1)).status_code == 413
    upstream.respond = documents(200, {})
    assert call(MESSAGES).status_code == 200


@BOTH
@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_neither_followed_nor_returned(call, upstream, path, status):
    upstream.respond = documents(status, {}, Location=f"{upstream.address}/elsewhere")
    response = call(path)
    assert error_of(response)[::2] == (502, "provider_redirects")
    assert "Location" not in response.headers
    assert len(upstream.requests) == 1


@BOTH
def test_an_unreachable_provider_or_an_invalid_response_is_502(call, forward_to, upstream, path):
    for reply in (b"", b"SSH-2.0-OpenSSH\r\n"):
        upstream.respond = lambda exchange, reply=reply: (exchange.wfile.write(reply), exchange.disconnect())
        assert error_of(call(path))[::2] == (502, "provider_unreachable")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        forward_to(f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert error_of(call(path))[::2] == (502, "provider_unreachable")


@typed("timeout_error", "server_error")
def test_a_silent_provider_is_504(call, forward_to, upstream, path, error_type):
    forward_to(upstream.address, read_seconds=0.1)
    upstream.respond = lambda exchange: exchange.wait_for_disconnect()
    assert error_of(call(path)) == (504, error_type, "provider_timeout")
