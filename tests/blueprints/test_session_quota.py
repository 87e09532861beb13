"""A session's quota: SESSION_MAX_EVENTS and SESSION_MAX_BYTES."""

import json
from datetime import timedelta

import pytest
from factories import envelope
from response_checks import error_of

from models import Event, Session, sessions
from models.sessions.quota import COUNT_INTERVAL, MAX_UNCOUNTED_BYTES, RESERVE

PATH = "/v1/hooks/ingest"


@pytest.fixture
def limit(app, monkeypatch):
    """A function that sets a session's limits."""

    def set_limits(**limits):
        for name, value in limits.items():
            monkeypatch.setitem(app.config, f"SESSION_MAX_{name.upper()}", value)

    return set_limits


def post(candidate, *events):
    return [candidate.post(PATH, event).status_code for event in events]


def post_batch(candidate, *events):
    return candidate.post(f"{PATH}/batch", {"events": events}).json["results"]


def statuses(results):
    return [result["status"] for result in results]


def get_stored(session):
    """Return the session's row, after checking its stored bytes against its events."""
    row = Session.get_by_id(session.id)
    assert sessions.stored_bytes(row) == sum(len(event.envelope.encode()) for event in Event.select())
    return row


def count_rejected(reviewer, session):
    findings = reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"]
    return next((finding["count"] for finding in findings if finding["code"] == "session_full"), None)


def test_the_largest_limits_are_accepted(candidate, session, limit):
    limit(events=10**9, bytes=10**15)
    assert post(candidate, envelope()) == [201]
    assert statuses(post_batch(candidate, envelope())) == ["created"]


def test_number_of_events_is_limited(reviewer, candidate, session, limit):
    limit(events=3)
    events = [envelope() for _ in range(3)]
    assert post(candidate, *events) == [201] * 3
    assert count_rejected(reviewer, session) is None
    assert error_of(candidate.post(PATH, envelope())) == (413, "session_full")
    assert post(candidate, envelope(), events[0]) == [413, 200]
    assert Event.select().count() == 3
    assert get_stored(session).stored_event_count == 3
    assert count_rejected(reviewer, session) == 2


def test_bytes_are_limited(reviewer, candidate, session, limit):
    event = envelope(data={"text": "é" * 500})
    assert post(candidate, event) == [201]
    size = Event.get().size
    assert size > 1000
    limit(bytes=2 * size)
    more = [event | {"id": event["id"][:-1] + last} for last in "xy"]
    assert post(candidate, *more, event) == [201, 413, 200]
    assert get_stored(session).stored_event_bytes == 2 * size
    assert count_rejected(reviewer, session) == 1


def test_batch_stores_the_events_that_fit(reviewer, candidate, session, limit):
    limit(bytes=4000, events=4)
    first, small = envelope(), envelope(id="small")
    large = envelope(id="large", data={"text": "x" * 4000})
    results = post_batch(candidate, first, large, large, first, small, small)
    assert statuses(results) == ["created", "rejected", "rejected", "skipped", "created", "skipped"]
    assert results[1] == {
        "id": "large",
        "status": "rejected",
        "error": "This session has reached its limit of stored events or bytes. Nothing was stored.",
    }
    events = [envelope() for _ in range(3)]
    assert statuses(post_batch(candidate, *events, first)) == ["created", "created", "rejected", "skipped"]
    assert get_stored(session).stored_event_count == 4
    assert count_rejected(reviewer, session) == 3


def test_rejected_id_can_be_sent_again(candidate, session, limit):
    limit(bytes=1000)
    results = post_batch(candidate, envelope(id="x", data={"text": "x" * 1000}), envelope(id="x"))
    assert statuses(results) == ["rejected", "created"]


def test_late_events_are_limited(candidate, session, clock, limit):
    limit(events=2)
    assert post(candidate, envelope()) == [201]
    sessions.complete(session)
    clock.fixed += timedelta(minutes=11)
    assert post(candidate, envelope(), envelope()) == [201, 413]
    assert get_stored(session).stored_event_count == 2


def test_events_are_counted_before_the_reserve_is_exhausted(candidate, session, limit):
    limit(events=RESERVE.events + 1)
    assert post(candidate, *(envelope() for _ in range(COUNT_INTERVAL))) == [201] * COUNT_INTERVAL
    assert get_stored(session).stored_event_count == 0
    assert post(candidate, envelope()) == [201]
    assert get_stored(session).stored_event_count == COUNT_INTERVAL + 1


def test_large_event_is_counted_immediately(candidate, session):
    assert post(candidate, envelope(data={"text": "x" * MAX_UNCOUNTED_BYTES})) == [201]
    assert get_stored(session).stored_event_bytes > MAX_UNCOUNTED_BYTES


def test_bundle_bytes_count_once(candidate, session, limit):
    events = [envelope() for _ in range(6)]
    size = len(json.dumps(events[0]).encode())
    session.update_columns(stored_bundle_bytes=10 * size)
    limit(bytes=20 * size)
    for event in events:
        assert statuses(post_batch(candidate, event)) == ["created"]
    row = Session.get_by_id(session.id)
    assert sessions.stored_bytes(row) == sum(event.size for event in Event.select()) + row.stored_bundle_bytes
    assert row.stored_event_bytes == sum(event.size for event in Event.select())


def test_recording_beyond_the_limit_is_not_imported(flask, organization, limit, tmp_path):
    limit(events=2)
    recording = tmp_path / "long.jsonl"
    recording.write_text("\n".join(json.dumps(envelope()) for _ in range(3)))
    output = flask("sessions", "import", recording, fails=True)
    assert "long.jsonl, line 3: The session exceeds 536870912 bytes or 2 events." in output
    assert Event.select().count() == 0
