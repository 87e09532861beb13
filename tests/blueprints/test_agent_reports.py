"""Reports from agents' hooks and telemetry: authentication, consent and the session's limits (R36 to R38)."""

from typing import Any, NamedTuple

import factories
import pytest
from callers import Caller
from response_checks import export_events

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


def test_report_is_not_stored_without_consent_to_the_channel(app, reviewer, assessment, channel):
    keys = [factories.make_key(assessment, f"{name}@example.com") for name in ("eve", "mallory")]
    sessions_without_consent = [
        factories.make_session(keys[0]),
        factories.make_recorded_session(keys[1], channel.other_channels),
    ]
    for key, session in zip(keys, sessions_without_consent, strict=True):
        hooks.assert_accepted(Caller.candidate(app, key).post(channel.path, channel.prompt))
        assert reviewer.get(f"/v1/sessions/{session.id}").json["eventCount"] == 0


def test_full_session_stores_no_more_reports(app, candidate, reviewer, session, channel, monkeypatch):
    monkeypatch.setitem(app.config, "SESSION_MAX_EVENTS", 1)
    for body in (channel.prompt, channel.other):
        assert candidate.post(channel.path, body).status_code == 200
    assert [event["kind"] for event in export_events(reviewer, session)] == ["prompt"]
