"""What agents report through hooks and telemetry: whose session it is for, and when it is stored (R36 to R38)."""

from typing import Any, NamedTuple

import factories
import pytest
from callers import Caller
from response_checks import exported

from models import sessions
from rules.session_close import STORED_AFTER_CLOSE
from tests.blueprints import test_agent_hooks as hooks
from tests.blueprints import test_telemetry as telemetry


class Channel(NamedTuple):
    """An operation, a body with a prompt, one with another event, and the channels of a consent to all others."""

    path: str
    prompt: dict[str, Any]
    other: dict[str, Any]
    others: list[str]


CHANNELS = {
    "claude-code": Channel(hooks.PATHS[0], hooks.PROMPT, hooks.COMMAND, ["proxy", "otlp"]),
    "codex": Channel(hooks.PATHS[1], hooks.PROMPT, hooks.COMMAND, ["proxy", "otlp"]),
    "telemetry": Channel(
        telemetry.LOGS,
        telemetry.batch(telemetry.PROMPT),
        telemetry.batch(telemetry.USAGE),
        ["proxy", "http-hook"],
    ),
}


@pytest.fixture(params=CHANNELS)
def channel(request):
    return CHANNELS[request.param]


@pytest.fixture
def session(key):
    return factories.make_recorded_session(key)


def accepted(response):
    assert (response.status_code, response.json) == (200, {})


def test_the_key_is_accepted_in_either_header_and_a_repetition_stores_nothing(
    app, reviewer, session, channel
):
    for headers in ({"X-API-Key": session.key.key}, {"Authorization": f"Bearer {session.key.key}"}):
        accepted(Caller(app, **headers).post(channel.path, channel.prompt))
    assert len(exported(reviewer, session)) == 1


def test_another_candidates_key_stores_in_their_own_session_only(app, reviewer, assessment, session, channel):
    other = factories.make_recorded_session(factories.make_key(assessment, "bob@example.com"))
    accepted(Caller.candidate(app, other.key).post(channel.path, channel.prompt))
    assert exported(reviewer, session) == []
    assert len(exported(reviewer, other)) == 1


def test_a_session_that_is_not_started_is_rejected(candidate, channel):
    assert candidate.post(channel.path, channel.prompt).status_code == 409


def test_a_closed_session_takes_late_reports_and_later_none(candidate, clock, reviewer, session, channel):
    sessions.complete(session)
    clock.fixed += STORED_AFTER_CLOSE / 2
    accepted(candidate.post(channel.path, channel.prompt))
    clock.fixed += STORED_AFTER_CLOSE
    assert candidate.post(channel.path, channel.other).status_code == 409
    assert len(exported(reviewer, session)) == 1


def test_without_consent_to_the_channel_nothing_is_stored(app, reviewer, assessment, channel):
    """R38: one agreed to a text without channels, the other to one without this channel."""
    keys = [factories.make_key(assessment, f"{name}@example.com") for name in ("eve", "mallory")]
    started = [factories.make_session(keys[0]), factories.make_recorded_session(keys[1], channel.others)]
    for key, session in zip(keys, started, strict=True):
        accepted(Caller.candidate(app, key).post(channel.path, channel.prompt))
        assert reviewer.get(f"/v1/sessions/{session.id}").json["eventCount"] == 0


def test_a_full_session_stores_nothing_more(app, candidate, reviewer, session, channel, monkeypatch):
    monkeypatch.setitem(app.config, "SESSION_MAX_EVENTS", 1)
    for body in (channel.prompt, channel.other):
        assert candidate.post(channel.path, body).status_code == 200
    assert [event["kind"] for event in exported(reviewer, session)] == ["prompt"]
