"""Calls are forwarded only from sessions that are recorded (R45)."""

import json
from datetime import timedelta

import pytest
from factories import add_event, envelope, make_session
from signing import Signer

from rules.integrity.unrecorded_calls import MAX_PROBES, REPORT_WINDOW
from tests.proxy.test_error_responses import error_of
from tests.proxy.upstream import CHAT_COMPLETIONS, MESSAGE, MESSAGES, RESPONSES, documents

PATHS = pytest.mark.parametrize("path", [MESSAGES, RESPONSES, CHAT_COMPLETIONS])
LIMITS = {MESSAGES: "max_tokens", RESPONSES: "max_output_tokens", CHAT_COMPLETIONS: "max_completion_tokens"}
COUNT_TOKENS = f"{MESSAGES}/count_tokens"
TOOLS = [{"type": "function", "name": "Bash"}]


@pytest.fixture
def signer():
    return Signer()


@pytest.fixture
def session(key, signer):
    """The open session of a candidate who has consented to no channel, with a client's public key."""
    return make_session(key, signer.public_key)


@pytest.fixture
def findings(reviewer, session):
    """Get the session's findings about calls that were not recorded."""

    def findings():
        found = reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"]
        return [finding for finding in found if finding["code"] == "call_not_recorded"]

    return findings


def probe(path, tokens=16, **fields):
    return json.dumps({"model": "claude-haiku-4-5", LIMITS[path]: tokens} | fields)


@pytest.mark.parametrize("path", [MESSAGES, COUNT_TOKENS, RESPONSES, CHAT_COMPLETIONS])
def test_calls_are_rejected_with_the_address_of_the_candidates_page(call, key, path, upstream, usage):
    response = call(path)
    assert error_of(response) == (403, "permission_error", "consent_required")
    assert f"http://localhost:8000/start#{key.key}" in response.json["error"]["message"]
    assert "x-api-key" not in response.text.lower()  # which makes Claude Code say "Please run /login"
    assert response.headers.getlist("X-Should-Retry") == ["false"]
    assert upstream.requests == usage() == []


def test_calls_are_forwarded_once_the_candidate_accepts(call, candidate, key, usage):
    state = candidate.get("/v1/candidate/consent").json
    candidate.post("/v1/candidate/consent", {"key": key.key, "disclosureHash": state["disclosureHash"]})
    assert call(MESSAGES).status_code == 200
    assert [used.is_recorded for used in usage()] == [True]


def test_only_an_event_with_a_valid_signature_replaces_the_consent(call, session, signer, usage):
    add_event(session, envelope())
    add_event(session, signer.event(session) | {"kind": "command"})
    add_event(session, Signer(1).event(session))
    assert call(MESSAGES).status_code == 403
    add_event(session, signer.event(session))
    assert call(MESSAGES).status_code == call(COUNT_TOKENS).status_code == 200
    assert [used.is_recorded for used in usage()] == [None]


@PATHS
def test_probes_are_forwarded(call, path, upstream):
    assert call(path, data=probe(path)).status_code == 200
    assert call("/v1/proxy/anthropic/v1/models", method="GET").status_code == 200
    bodies = [probe(path, 17), probe(path, 16.0), probe(path, tools=TOOLS), probe(path, functions=TOOLS)]
    if path == CHAT_COMPLETIONS:
        bodies.append(probe(path, max_tokens=4096.0))
    for body in bodies:
        assert call(path, data=body).status_code == 403
    assert len(upstream.requests) == 2


def test_calls_that_the_client_did_not_report_are_a_finding(call, session, signer, findings, clock):
    add_event(session, signer.event(session, source="claude-code"))
    call(MESSAGES)
    assert findings() == []
    clock.fixed += 2 * REPORT_WINDOW
    add_event(session, signer.event(session, source="terminal", kind="command"))
    call(MESSAGES)
    call(MESSAGES)
    (finding,) = findings()
    assert finding["count"] == 2
    assert finding["explanation"].endswith(" Calls: 2 claude-haiku-4-5-20251001 ($0.0060).")
    clock.fixed += timedelta(minutes=1)
    add_event(session, signer.event(session, source="claude-code"))
    assert findings() == []


def test_more_probes_than_a_client_sends_are_a_finding(call, findings, upstream):
    upstream.respond = documents(200, MESSAGE | {"usage": {"input_tokens": 1, "output_tokens": 16}})
    for _ in range(MAX_PROBES):
        call(MESSAGES, data=probe(MESSAGES))
    assert findings() == []
    call(MESSAGES, data=probe(MESSAGES))
    assert findings()[0]["count"] == MAX_PROBES + 1
