"""Ingest an event (R5, R12, R18, R27, R29; docs/candidate-client.md, 3.8)."""

from datetime import timedelta
from io import BytesIO

import pytest
from callers import Caller
from factories import envelope, make_assessment, make_key, make_session
from response_checks import error_of, error_paths

from models import Event, Session, sessions
from rules.events.recorded_events import CHANNELS

PATH = "/v1/hooks/ingest"
UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"
OK, SKIPPED = (201, {"ok": True}), (200, {"ok": True, "skipped": True})
LATE = (201, {"ok": True, "late": True})


def ingest(candidate, event):
    response = candidate.post(PATH, event)
    return response.status_code, response.json


def without(event, field):
    return {name: value for name, value in event.items() if name != field}


# Envelopes


def test_event_columns_are_stored(clock, candidate, session):
    actor, provenance = {"type": "ai", "role": "assistant"}, {"attribution": "likely_ai", "methods": ["hook"]}
    fields = {"source": "claude-code", "actor": actor, "provenance": provenance}
    event = envelope("command", at=1.5, data={"command": "ls"}, **fields)
    assert ingest(candidate, event) == OK
    row = Event.get()
    assert (row.session_id, row.event_id, row.kind) == (session.id, event["id"], "command")
    assert (row.source, row.actor, row.attribution, row.late) == ("claude-code", "ai", "likely_ai", False)
    assert (row.time_ns, row.received_at) == (1_775_034_001_500_000_000, clock.now())


def test_optional_fields_can_be_missing_or_null(candidate, session):
    event = envelope(sessionId=str(session.id))
    assert ingest(candidate, without(event, "source")) == OK
    for field in ("source", "actor", "provenance", "rawPayload", "sessionId", "sig", "prevSig"):
        assert ingest(candidate, envelope(**{field: None})) == OK, field


def test_unknown_kinds_fields_and_types_are_accepted(candidate, session):
    for fields in (
        {"kind": "unknown", "later": {"deeply": ["nested"]}, "v": 2, "data": {"scrubbed": "..."}},
        {"kind": "x" * 5000, "source": {"channel": "ide-extension", "integration": "vscode"}},
        {"source": 7, "actor": "human", "provenance": [1], "relatedEventIds": ["x"]},
        {"actor": {"type": 7}, "id": "not a uuid", "ts": "2026-04-01T09:00:00.123456789Z"},
        {"id": "x" * 255, "ts": "2026-04-01T11:00:00.5+02:00"},
        {"ts": "1999-12-31T23:59:60Z"},
    ):
        assert ingest(candidate, envelope(**fields)) == OK, fields


def test_required_fields_are_validated(candidate, session):
    invalid = {
        "id": ["", "x" * 256, 7],
        "kind": ["", 7],
        "ts": ["yesterday", "2026-04-01", "2026-04-01T09:00:00", "2026-02-30T09:00:00Z", 1775034000],
        "v": ["1", 1.0, True],
        "data": ["x", 7],
    }
    for field, values in invalid.items():
        assert error_paths(candidate.post(PATH, without(envelope(), field))) == [[field]]
        for value in (*values, None, []):
            assert error_paths(candidate.post(PATH, envelope() | {field: value})) == [[field]], value
    for value in (7, ["x"]):
        assert error_paths(candidate.post(PATH, envelope(sessionId=value))) == [["sessionId"]]
    assert Event.select().count() == 0


@pytest.mark.parametrize("channel", [*CHANNELS, " Proxy"])
def test_source_cannot_be_a_channel_of_the_service(candidate, session, channel):
    for source in (channel, *({name: channel} for name in ("channel", "integration", "emitter"))):
        assert error_paths(candidate.post(PATH, envelope(source=source))) == [["source"]]
    assert Event.select().count() == 0


# Duplicates


def test_events_with_a_known_id_are_skipped(clock, candidate, session):
    assert ingest(candidate, envelope("prompt", id="1")) == OK
    assert ingest(candidate, envelope("prompt", id="1")) == SKIPPED
    assert ingest(candidate, envelope("command", id="1")) == SKIPPED
    sessions.complete(session)
    clock.fixed += timedelta(hours=1)
    assert ingest(candidate, envelope("prompt", id="1")) == SKIPPED
    assert [event.kind for event in Event.select()] == ["prompt"]


def test_event_ids_are_unique_only_within_a_session(app, candidate, assessment, session):
    other_key = make_key(assessment)
    make_session(other_key)
    event = envelope()
    assert ingest(candidate, event) == ingest(Caller.candidate(app, other_key), event) == OK


# The session (R5, R29)


def test_session_id_must_be_the_keys_session(candidate, assessment, session):
    for text in (str(session.id), str(session.id).upper()):
        assert ingest(candidate, envelope(sessionId=text)) == OK
    for invalid_id in (UNKNOWN_ID, "nonsense", "", " ", str(make_session(make_key(assessment)).id)):
        assert error_of(candidate.post(PATH, envelope(sessionId=invalid_id))) == (404, "not_found"), (
            invalid_id
        )
    assert Event.select().count() == 2


def test_key_must_be_redeemed(candidate):
    assert error_of(candidate.post(PATH, envelope())) == (409, "not_redeemed")
    for unknown in ("nonsense", UNKNOWN_ID):
        assert error_of(candidate.post(PATH, envelope(sessionId=unknown))) == (404, "not_found")
    assert Event.select().count() == 0


def test_errors_have_a_fixed_precedence(app, clock, anonymous, reviewer, candidate, session):
    sessions.complete(session)
    clock.fixed += timedelta(days=2)
    plain = {"data": "{", "content_type": "text/plain"}
    both = Caller(app, **candidate.headers, Authorization="Bearer nonsense")
    for caller in (anonymous, reviewer, both):
        assert error_of(caller.post(PATH, envelope())) == (401, "unauthorized")
        assert error_of(caller.request("POST", PATH, **plain)) == (401, "unauthorized")
    gzipped = {"json": envelope(), "headers": {"Content-Encoding": "gzip"}}
    for options in (plain, gzipped):
        assert error_of(candidate.request("POST", PATH, **options)) == (415, "unsupported_media_type")
    assert error_of(candidate.post(PATH, {"id": 7, "sessionId": UNKNOWN_ID})) == (400, "invalid_request")
    assert error_of(candidate.post(PATH, envelope(sessionId=UNKNOWN_ID))) == (404, "not_found")
    assert error_of(candidate.post(PATH, envelope())) == (409, "session_closed")


@pytest.mark.parametrize(
    ("size", "environ"),
    [(2**21, {}), (1024, {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True})],
    ids=["large", "chunked"],
)
def test_body_is_not_read_without_a_valid_credential(anonymous, session, size, environ):
    body = BytesIO(bytes(size))
    options = {"input_stream": body, "content_type": "application/json", "environ_overrides": environ}
    response = anonymous.request("POST", PATH, **options)
    assert error_of(response) == (401, "unauthorized")
    assert body.tell() == 0


def test_session_end_does_not_close_the_session(candidate, session):
    assert ingest(candidate, envelope("session_end")) == OK
    assert ingest(candidate, envelope()) == OK
    assert Session.get_by_id(session.id).closed_at is None


# After the close (R18)


def counts(reviewer, session):
    body = reviewer.get(f"/v1/sessions/{session.id}").json
    return body["eventCount"], body["lateEventCount"], body["metrics"]["promptCount"]


def test_windows_start_at_the_close(clock, reviewer, candidate, session):
    sessions.complete(session)
    assert counts(reviewer, session) == (0, 0, 0)
    clock.fixed += timedelta(minutes=10, milliseconds=-1)
    assert ingest(candidate, envelope("prompt")) == OK
    assert counts(reviewer, session) == (1, 0, 1)
    clock.fixed += timedelta(milliseconds=2)
    # The server's clock applies, not the event's time.
    assert ingest(candidate, envelope("prompt", at=-3600)) == LATE
    assert counts(reviewer, session) == (1, 1, 1)
    clock.fixed += timedelta(hours=24, minutes=-10, milliseconds=-2)
    assert ingest(candidate, envelope("prompt")) == LATE
    clock.fixed += timedelta(milliseconds=2)
    assert error_of(candidate.post(PATH, envelope("prompt"))) == (409, "session_closed")
    assert counts(reviewer, session) == (1, 2, 1)
    assert [event.late for event in Event.select().order_by(Event.seq)] == [False, True, True]


def test_windows_start_at_the_time_limit(clock, reviewer, organization, app):
    key = make_key(make_assessment(organization, time_limit_minutes=30))
    session, candidate = make_session(key), Caller.candidate(app, key)
    closes_at, millisecond = clock.now() + timedelta(minutes=35), timedelta(milliseconds=1)
    for now, expected in (
        (closes_at - millisecond, OK),
        (closes_at, OK),
        (closes_at + timedelta(minutes=10) - millisecond, OK),
        (closes_at + timedelta(minutes=10) + millisecond, LATE),
    ):
        clock.fixed = now
        assert ingest(candidate, envelope("prompt")) == expected
    assert counts(reviewer, session) == (3, 1, 3)
    clock.fixed = closes_at + timedelta(hours=24) + millisecond
    assert error_of(candidate.post(PATH, envelope())) == (409, "session_closed")


def test_event_is_limited_to_100000_values(candidate, session):
    # The event, its six fields and the list are eight values.
    assert ingest(candidate, envelope(data={"a": [0] * (100_000 - 8)})) == OK
    response = candidate.post(PATH, envelope(data={"a": [0] * (100_001 - 8)}))
    assert error_of(response) == (400, "too_many_values")
