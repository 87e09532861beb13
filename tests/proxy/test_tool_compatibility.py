"""Tool behavior beyond model calls: probes, and errors that tools do not retry (R39)."""

from datetime import UTC, datetime

import pytest

from errors import TooManyRequests
from models import sessions
from tests.proxy.conftest import STREAMS
from tests.proxy.test_error_responses import error_of
from tests.proxy.upstream import CHAT_COMPLETIONS, MESSAGES, RESPONSES, documents, stay_open

CODEX = {"User-Agent": "codex_exec/0.169.0 (Debian 13.0.0; x86_64) xterm-256color (codex_exec; 0.169.0)"}
OPENCODE = {"User-Agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.46 runtime/bun/1.3.14"}
CLAUDE_CODE = {"User-Agent": "claude-cli/2.1.197 (external, cli)"}


@pytest.mark.parametrize(
    "path", ["", "/", "/v1/messages", "/v1/models", "/v1/models/claude", "/anything/else"]
)
def test_head_requests_under_anthropic_need_no_credential(anonymous, candidate, upstream, path):
    for caller in (anonymous, candidate):
        response = caller.request("HEAD", f"/v1/proxy/anthropic{path}")
        assert (response.status_code, response.data) == (200, b"")
    assert upstream.requests == []


def test_other_head_requests_need_a_credential(anonymous):
    for path in ("/v1/proxy/openai/v1/models", "/v1/assessments"):
        assert anonymous.request("HEAD", path).status_code == 401


@pytest.mark.parametrize("value", ["websocket", "WebSocket"])
def test_a_websocket_upgrade_is_426_without_a_credential(anonymous, candidate, upstream, value):
    headers = {"Upgrade": value, "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    for caller in (anonymous, candidate):
        assert caller.request("GET", RESPONSES, headers=headers).status_code == 426
        assert caller.request("GET", f"{RESPONSES}/resp_1", headers=headers).status_code in (401, 404)
    assert anonymous.request("GET", RESPONSES).status_code == 401
    assert upstream.requests == []


DAY_BEFORE = datetime(2026, 3, 31, tzinfo=UTC)
CAUSES = {
    "token_budget_spent": lambda session: session.assessment.update_columns(token_budget_nano_usd=0),
    "session_closed": sessions.complete,
    "model_access_expired": lambda session: session.update_columns(created_at=DAY_BEFORE, closes_at=None),
    "agent_not_allowed": lambda session: session.assessment.update_columns(allowed_tools=["web_search"]),
}


@pytest.mark.parametrize(("code", "cause"), CAUSES.items(), ids=CAUSES)
@pytest.mark.parametrize(
    ("path", "agent"),
    [(MESSAGES, CLAUDE_CODE), (MESSAGES, OPENCODE), (CHAT_COMPLETIONS, OPENCODE), (RESPONSES, CODEX)],
)
def test_no_tool_retries_a_final_error(call, session, clock, upstream, code, cause, path, agent):
    cause(session)
    response = call(path, headers=agent)
    assert_is_final(response, agent)
    if agent is not CODEX:
        assert error_of(response)[2] == code
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "provider_key_rejected"), (403, "provider_key_rejected"), (302, "provider_redirects")],
)
@pytest.mark.parametrize(
    ("path", "agent"), [(MESSAGES, CLAUDE_CODE), (MESSAGES, OPENCODE), (RESPONSES, CODEX)]
)
def test_no_tool_retries_after_a_configuration_error(call, upstream, status, code, path, agent):
    upstream.respond = documents(status, {"error": {"message": "the provider's text"}})
    response = call(path, headers=agent)
    assert_is_final(response, agent)
    if agent is not CODEX:
        assert error_of(response)[2] == code
    assert "tell the person who invited you" in response.text
    assert "the provider's text" not in response.text


def assert_is_final(response, agent):
    """Assert that the response makes the tool stop retrying, as observed with each tool."""
    if agent is CLAUDE_CODE:
        assert response.headers["X-Should-Retry"] == "false"
    elif agent is OPENCODE:
        assert response.status_code in (400, 402, 403)
    else:
        # Codex shows the body unchanged.
        assert (response.status_code, response.mimetype) == (400, "text/plain")
        assert response.text.endswith(".")
        assert "{" not in response.text


def test_codex_retries_when_rate_limited(call, app, monkeypatch):
    def reject(self):
        raise TooManyRequests(retry_after=7)

    limiter = type("Limiter", (), {"check": reject})()
    monkeypatch.setitem(app.extensions, "rate_limiter", limiter)
    monkeypatch.setitem(app.before_request_funcs, None, [limiter.check])
    response = call(RESPONSES, headers=CODEX)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    assert "X-Should-Retry" not in response.headers
    assert call(RESPONSES).status_code == 429


def test_free_calls_need_no_stream_slot(call, candidate, upstream):
    upstream.respond = stay_open
    body = b'{"model": "claude-haiku-4-5", "max_tokens": 10}'
    running = [candidate.request("POST", MESSAGES, buffered=False, data=body) for _ in range(STREAMS)]
    upstream.respond = documents(200, {"input_tokens": 14})
    assert call(f"{MESSAGES}/count_tokens").status_code == 200
    assert call("/v1/proxy/anthropic/v1/models", method="GET").status_code == 200
    for response in running:
        response.close()
