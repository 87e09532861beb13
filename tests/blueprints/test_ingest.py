"""The event stream: what is accepted, what is kept, when it counts (R12, R18, R27, R29; client contract 5 and 6)."""

import json
from datetime import timedelta
from io import BytesIO

import pytest
from answers import places, refusal
from callers import Caller
from factories import envelope, make_assessment, make_key, make_session

from models import Event, Session, sessions

PATH = "/v1/hooks/ingest"
NOWHERE = "00000000-0000-7000-8000-000000000000"
OK, SKIPPED, LATE = (
    (201, {"ok": True}),
    (200, {"ok": True, "skipped": True}),
    (201, {"ok": True, "late": True}),
)


def ingest(candidate, event):
    answer = candidate.post(PATH, event)
    return answer.status_code, answer.json


def without(event, *members):
    return {name: value for name, value in event.items() if name not in members}


# What is accepted


def test_an_event_is_stored_with_its_columns(clock, candidate, session):
    event = envelope(
        "command", at=1.5, data={"command": "ls"}, source="claude-code",
        actor={"type": "ai", "role": "assistant"}, provenance={"attribution": "likely_ai", "methods": ["hook"]},
    )  # fmt: skip
    assert ingest(candidate, event) == OK
    row = Event.get()
    assert (row.session_id, row.event_id, row.kind, row.source) == (
        session.id,
        event["id"],
        "command",
        "claude-code",
    )
    assert (row.actor, row.attribution, row.late) == ("ai", "likely_ai", False)
    assert row.time_ns == 1_775_034_001_500_000_000
    assert row.received_at == clock.now()


def test_the_envelope_is_kept_as_the_text_that_came(candidate, session):
    text = """{ "id":"1",  "kind":"x","ts":"2026-04-01T09:00:00.120Z","v":1,"source":"cli",
      "data":{"b":1.0,"a":1e-7,"c":"\\u003c\\u20ac €","d":12345678901234567890123} }"""
    answer = candidate.request("POST", PATH, data=text.encode(), content_type="application/json")
    assert answer.status_code == 201
    assert Event.get().envelope == text


@pytest.mark.parametrize("missing", ["source", "sessionId"])
def test_what_may_be_missing(candidate, session, missing):
    assert ingest(candidate, without(envelope(sessionId=str(session.id)), missing)) == OK


@pytest.mark.parametrize(
    "member", ["source", "actor", "provenance", "rawPayload", "sessionId", "sig", "prevSig"]
)
def test_an_explicit_null_equals_leaving_it_out(candidate, session, member):
    assert ingest(candidate, envelope(**{member: None})) == OK


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("terminal", "terminal"),
        ({"channel": "ide-extension", "integration": "vscode", "emitter": "x"}, "vscode"),
        ({"channel": "ide-extension", "emitter": "promptster-vscode"}, "promptster-vscode"),
        ({"channel": "ide-extension"}, "ide-extension"),
        ({}, None),
        (7, None),
        (["x"], None),
        ("", None),
    ],
)
def test_a_source_is_a_word_or_an_object(candidate, session, source, column):
    assert ingest(candidate, envelope(source=source)) == OK
    assert Event.get().source == column


@pytest.mark.parametrize(
    "members",
    [
        {"kind": "never_heard_of"},
        {"kind": "x" * 5000},
        {"later": {"deeply": ["nested"]}},
        {"actor": "human"},
        {"actor": {"type": 7}},
        {"provenance": [1]},
        {"relatedEventIds": ["x"]},
        {"v": 2},
        {"data": {}},
        {"data": {"scrubbed": "..."}},
        {"id": "not a uuid"},
        {"id": "x" * 255},
        {"ts": "2026-04-01T09:00:00Z"},
        {"ts": "2026-04-01T09:00:00.123456789Z"},
        {"ts": "2026-04-01T11:00:00.5+02:00"},
        {"ts": "1999-12-31T23:59:60Z"},
    ],
)
def test_ingest_is_liberal(candidate, session, members):
    assert ingest(candidate, envelope(**members)) == OK


@pytest.mark.parametrize("member", ["id", "kind", "ts", "v", "data"])
@pytest.mark.parametrize("wrong", [..., None, []])
def test_what_is_needed(candidate, session, member, wrong):
    event = without(envelope(), member) if wrong is ... else envelope() | {member: wrong}
    assert places(candidate.post(PATH, event)) == [[member]]
    assert Event.select().count() == 0


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("id", ""), ("id", "x" * 256), ("id", 7), ("kind", ""), ("kind", 7), ("v", "1"), ("v", 1.0), ("v", True),
        ("data", "x"), ("data", 7), ("ts", "yesterday"), ("ts", "2026-04-01"), ("ts", "2026-04-01T09:00:00"),
        ("ts", "2026-02-30T09:00:00Z"), ("ts", 1775034000), ("ts", "2026-04-01T09:00:00.1234567890Z"),
        ("sessionId", 7), ("sessionId", ["x"]),
    ],
)  # fmt: skip
def test_what_has_the_wrong_form(candidate, session, member, wrong):
    assert places(candidate.post(PATH, envelope() | {member: wrong})) == [[member]]


def test_nul_and_surrogates_in_data_are_kept_and_replaced_in_columns(candidate, session):
    event = envelope("command", data={"stdout": "a\0b\ud800", "n\0": 1}, rawPayload="\udfff\0")
    text = json.dumps(event | {"actor": {"type": "ai"}})
    answer = candidate.request("POST", PATH, data=text, content_type="application/json")
    assert answer.status_code == 201
    assert Event.get().envelope == text


def test_nul_elsewhere_is_refused(candidate, session):
    for members in ({"kind": "a\0b"}, {"id": "\ud800"}, {"actor": {"type": "\0"}}, {"source": "\0"}):
        text = json.dumps(envelope(**members))
        assert candidate.request("POST", PATH, data=text, content_type="application/json").status_code == 400
    assert Event.select().count() == 0


def test_an_event_of_several_mebibytes_is_taken(candidate, session):
    assert ingest(candidate, envelope("file_diff", data={"content": "x" * 8 * 2**20})) == OK


def test_an_event_beyond_16_mebibytes_is_413(candidate, session):
    answer = candidate.post(PATH, envelope(data={"content": "x" * 16 * 2**20}))
    assert refusal(answer) == (413, "too_large")


# Once in its session


def test_an_id_counts_once(candidate, session):
    event = envelope()
    assert [ingest(candidate, event) for _ in range(3)] == [OK, SKIPPED, SKIPPED]
    assert Event.select().count() == 1


def test_the_first_of_two_with_one_id_stays(candidate, session):
    ingest(candidate, envelope("prompt", id="1"))
    assert ingest(candidate, envelope("command", id="1")) == SKIPPED
    assert Event.get().kind == "prompt"


def test_another_session_may_have_the_same_id(app, candidate, assessment, session):
    other_key = make_key(assessment)
    make_session(other_key)
    event = envelope()
    assert ingest(candidate, event) == ingest(Caller.candidate(app, other_key), event) == OK


def test_a_duplicate_after_the_close_is_skipped(clock, candidate, session):
    event = envelope()
    ingest(candidate, event)
    sessions.complete(session)
    clock.fixed += timedelta(hours=1)
    assert ingest(candidate, event) == SKIPPED


# Whose session (R5, R29)


def test_the_own_session_may_be_named(candidate, session):
    for text in (str(session.id), str(session.id).upper()):
        assert ingest(candidate, envelope(sessionId=text)) == OK


@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense", "", " "])
def test_any_other_session_is_404_and_nothing_is_stored(candidate, session, wrong):
    assert refusal(candidate.post(PATH, envelope(sessionId=wrong))) == (404, "not_found")
    assert Event.select().count() == 0


def test_another_candidates_session_is_404(candidate, assessment, session):
    other = make_session(make_key(assessment))
    assert refusal(candidate.post(PATH, envelope(sessionId=str(other.id)))) == (404, "not_found")


def test_a_key_that_is_not_redeemed_is_409(candidate):
    assert refusal(candidate.post(PATH, envelope())) == (409, "not_redeemed")
    assert refusal(candidate.post(PATH, envelope(sessionId="nonsense"))) == (404, "not_found")
    assert Event.select().count() == 0


def test_only_a_candidate_sends_events(reviewer, anonymous, session):
    for caller in (reviewer, anonymous):
        assert refusal(caller.post(PATH, envelope())) == (401, "unauthorized")


def test_refusals_come_in_their_order(clock, anonymous, candidate, session):
    sessions.complete(session)
    clock.fixed += timedelta(days=2)
    broken = {"id": 7, "sessionId": NOWHERE}
    plain = {"data": "{", "content_type": "text/plain"}
    assert refusal(anonymous.request("POST", PATH, **plain)) == (401, "unauthorized")
    assert refusal(candidate.request("POST", PATH, **plain)) == (415, "unsupported_media_type")
    assert refusal(candidate.post(PATH, broken)) == (400, "invalid_request")
    assert refusal(candidate.post(PATH, envelope(sessionId=NOWHERE))) == (404, "not_found")
    assert refusal(candidate.post(PATH, envelope())) == (409, "session_closed")


def test_the_large_body_of_an_unknown_caller_is_not_read(anonymous, session):
    body = BytesIO(bytes(2 * 1024 * 1024))
    sent = {
        "input_stream": body,
        "content_type": "application/json",
        "content_length": body.getbuffer().nbytes,
    }
    assert refusal(anonymous.request("POST", PATH, **sent)) == (401, "unauthorized")
    assert body.tell() == 0


def test_a_session_end_is_only_an_event(candidate, session):
    assert ingest(candidate, envelope("session_end")) == OK
    assert ingest(candidate, envelope()) == OK
    assert Session.get_by_id(session.id).closed_at is None


# After the close (R18)


def counts(reviewer, session):
    shown = reviewer.get(f"/v1/sessions/{session.id}").json
    return shown["eventCount"], shown["lateEventCount"], shown["metrics"]["promptCount"]


def test_events_count_for_ten_minutes_after_the_close(clock, reviewer, candidate, session):
    sessions.complete(session)
    assert counts(reviewer, session) == (0, 0, 0)
    clock.fixed += timedelta(minutes=10, milliseconds=-1)
    assert ingest(candidate, envelope("prompt")) == OK
    assert counts(reviewer, session) == (1, 0, 1)


def test_later_events_are_stored_and_count_in_nothing(clock, reviewer, candidate, session):
    sessions.complete(session)
    clock.fixed += timedelta(minutes=10, milliseconds=1)
    assert ingest(candidate, envelope("prompt")) == LATE
    assert counts(reviewer, session) == (0, 1, 0)
    assert Event.get().late is True


def test_a_day_after_the_close_events_are_refused(clock, reviewer, candidate, session):
    sessions.complete(session)
    clock.fixed += timedelta(hours=24, milliseconds=-1)
    assert ingest(candidate, envelope("prompt")) == LATE
    clock.fixed += timedelta(milliseconds=2)
    assert refusal(candidate.post(PATH, envelope("prompt"))) == (409, "session_closed")
    assert counts(reviewer, session) == (0, 1, 0)


def test_the_windows_begin_at_the_limits_close_though_nobody_noticed(clock, reviewer, organization, app):
    key = make_key(make_assessment(organization, time_limit_minutes=30))
    session, candidate = make_session(key), Caller.candidate(app, key)
    close = clock.now() + timedelta(minutes=35)
    for moment, expected in (
        (close - timedelta(milliseconds=1), OK),
        (close, OK),
        (close + timedelta(minutes=10, milliseconds=-1), OK),
        (close + timedelta(minutes=10, milliseconds=1), LATE),
    ):
        clock.fixed = moment
        assert ingest(candidate, envelope("prompt")) == expected
    assert counts(reviewer, session) == (3, 1, 3)
    clock.fixed = close + timedelta(hours=24, milliseconds=1)
    assert refusal(candidate.post(PATH, envelope())) == (409, "session_closed")


def test_an_events_own_time_decides_nothing(clock, candidate, session):
    sessions.complete(session)
    clock.fixed += timedelta(hours=1)
    assert ingest(candidate, envelope("prompt", at=-3600)) == LATE


def test_an_event_after_the_close_only_marks_the_metrics_as_due(candidate, session):
    sessions.complete(session)
    ingest(candidate, envelope("prompt"))
    row = Session.get_by_id(session.id)
    assert (row.metrics_due, row.prompt_count) == (True, 0)
