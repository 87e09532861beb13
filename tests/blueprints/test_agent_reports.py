"""Reports from agents' hooks and telemetry: authentication, consent and the session's limits (R36 to R38)."""

from typing import Any, NamedTuple

import factories
import pytest
from callers import Caller
from response_checks import export_events
from signing import Signer

from models import sessions
from rules.session_close import LATE_WINDOW
from tests.blueprints import test_agent_hooks as hooks
from tests.blueprints import test_telemetry as telemetry


class Channel(NamedTuple):
    """An endpoint that accepts reports from agents."""

    path: str
    prompt: dict[str, Any]  # a body that reports a prompt
    other: dict[str, Any]  # a body that reports a different event
    other_channels: list[str]  # all channels but this one


CHANNELS = {
    "claude-code": Channel(hooks.PATHS[0], hooks.PROMPT, hooks.COMMAND, ["proxy", "otlp"]),
    "codex": Channel(hooks.PATHS[1], hooks.PROMPT, hooks.COMMAND, ["proxy", "otlp"]),
    "telemetry": Channel(
        *(telemetry.LOGS, telemetry.batch(telemetry.PROMPT), telemetry.batch(telemetry.USAGE)),
        ["proxy", "http-hook"],
    ),
}


@pytest.fixture(params=CHANNELS)
def channel(request):
    return CHANNELS[request.param]


@pytest.fixture
def session(key):
    return factories.make_recorded_session(key)


def test_key_is_accepted_in_both_headers_and_reports_are_idempotent(app, reviewer, session, channel):
    for headers in ({"X-API-Key": session.key.key}, {"Authorization": f"Bearer {session.key.key}"}):
        hooks.assert_accepted(Caller(app, **headers).post(channel.path, channel.prompt))
    assert len(export_events(reviewer, session)) == 1


def test_report_is_stored_only_in_the_keys_session(app, reviewer, assessment, session, channel):
    other = factories.make_recorded_session(factories.make_key(assessment, "bob@example.com"))
    hooks.assert_accepted(Caller.candidate(app, other.key).post(channel.path, channel.prompt))
    assert export_events(reviewer, session) == []
    assert len(export_events(reviewer, other)) == 1


def test_key_must_be_redeemed(candidate, channel):
    assert candidate.post(channel.path, channel.prompt).status_code == 409


def test_closed_session_accepts_late_reports_for_a_day(candidate, clock, reviewer, session, channel):
    sessions.complete(session)
    clock.fixed += LATE_WINDOW / 2
    hooks.assert_accepted(candidate.post(channel.path, channel.prompt))
    clock.fixed += LATE_WINDOW
    assert candidate.post(channel.path, channel.other).status_code == 409
    assert len(export_events(reviewer, session)) == 1


def test_report_is_not_stored_without_consent_to_the_channel(candidate, reviewer, key, channel):
    session = factories.make_recorded_session(key, channel.other_channels)
    hooks.assert_accepted(candidate.post(channel.path, channel.prompt))
    assert export_events(reviewer, session) == []


def test_report_without_consent_is_rejected_until_the_candidate_accepts(candidate, reviewer, key, channel):
    session = factories.make_session(key)
    response = candidate.post(channel.path, channel.prompt)
    assert response.status_code == 403
    assert response.json.get("code") == (7 if channel is CHANNELS["telemetry"] else "consent_required")
    assert f"http://localhost:8000/start#{key.key}" in response.text
    assert "x-api-key" not in response.text.lower()
    assert response.headers.getlist("X-Should-Retry") == ["false"]
    assert not hooks.STEERING & response.json.keys()
    state = candidate.get("/v1/candidate/consent").json
    assert state["consentRequired"]
    candidate.post("/v1/candidate/consent", {"key": key.key, "disclosureHash": state["disclosureHash"]})
    hooks.assert_accepted(candidate.post(channel.path, channel.prompt))
    assert len(export_events(reviewer, session)) == 1
    assert not candidate.get("/v1/candidate/consent").json["consentRequired"]


def test_report_of_a_client_that_signs_is_accepted_but_not_stored(candidate, reviewer, key, channel):
    signer = Signer()
    session = factories.make_session(key, signer.public_key)
    factories.add_event(session, signer.event(session))
    hooks.assert_accepted(candidate.post(channel.path, channel.prompt))
    assert len(export_events(reviewer, session)) == 1


def test_full_session_stores_no_more_reports(app, candidate, reviewer, session, channel, monkeypatch):
    monkeypatch.setitem(app.config, "SESSION_MAX_EVENTS", 1)
    for body in (channel.prompt, channel.other):
        assert candidate.post(channel.path, body).status_code == 200
    assert [event["kind"] for event in export_events(reviewer, session)] == ["prompt"]
