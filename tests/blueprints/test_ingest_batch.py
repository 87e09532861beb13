"""Ingest a batch of events."""

import json
from datetime import timedelta

import pytest
from factories import envelope
from response_checks import error_of, error_paths

from models import Event, Session, sessions

PATH = "/v1/hooks/ingest/batch"
EVENT = '{"id": "x", "kind": "prompt", "ts": "2026-04-01T09:00:00Z", "v": 1, "data": {}}'


def post(candidate, *events):
    return candidate.post(PATH, {"events": events})


def post_text(candidate, text):
    return candidate.request("POST", PATH, data=text, headers={"Content-Type": "application/json"})


def statuses(response):
    assert response.status_code == 200, response.json
    return [result["status"] for result in response.json["results"]]


def test_results_are_in_event_order(candidate, session):
    first, second = envelope(), envelope()
    assert post(candidate, first, second, first).json["results"] == [
        {"id": first["id"], "status": "created"},
        {"id": second["id"], "status": "created"},
        {"id": first["id"], "status": "skipped"},
    ]
    assert statuses(post(candidate, second)) == ["skipped"]
    assert Event.select().count() == 2


@pytest.mark.parametrize(
    ("text", "event_id"),
    [
        ('{"id": "x"}', "x"),
        (EVENT.replace('"v"', '"id": "x", "v"'), "x"),
        (EVENT.replace("prompt", "a\\u0000"), "x"),
        (EVENT.replace("2026", "year"), "x"),
        (EVENT.replace("{}", "[" * 40 + "]" * 40), "x"),
        (EVENT.replace('"v"', '"sessionId": "other", "v"'), "x"),
        (EVENT.replace("1,", "1" * 5000 + ","), "x"),
        ("[" * 500 + "]" * 500, None),
        ("NaN", None),
        ("null", None),
        ("17", None),
    ],
    ids=lambda value: value and value[:40],
)
def test_rejected_event_does_not_affect_the_batch(candidate, session, text, event_id):
    response = post_text(candidate, f'{{"events": [{text}, {json.dumps(envelope())}]}}')
    assert statuses(response) == ["rejected", "created"]
    rejected = response.json["results"][0]
    assert rejected["error"]
    assert rejected["id"] == event_id


def test_error_names_the_field(candidate, session):
    events = [
        envelope(**fields) for fields in ({"kind": "a\0b"}, {"v": 0.5}, {"ts": "soon"}, {"sessionId": "x"})
    ]
    for field, result in zip(
        ("kind", "v", "ts", "sessionId"), post(candidate, *events).json["results"], strict=True
    ):
        assert result["error"].startswith(f"{field}: ")


def test_unknown_fields_must_be_strict_json(candidate, session):
    values = ['"a\\u0000"', '"\\ud800"', '1, "other": 1', '{"a": 1, "a": 1}', "NaN", "1e999", "9" * 20]
    values.append("[" * 32 + "]" * 32)
    for field in (*(f'"other": {value}' for value in values), '"events": []'):
        response = post_text(candidate, f'{{"events": [{EVENT}], {field}}}')
        assert response.status_code == 400, field
    assert Event.select().count() == 0


def test_envelopes_are_stored_as_sent(candidate, session):
    text = EVENT.replace(", ", " ,  ").replace("{}", '{"n":1.50,"t":"\\u0000\\ud800"}')
    response = post_text(candidate, f' {{ "other" : [1], "events" :\n[ {text}\t] , "more": {{}} }} ')
    assert statuses(response) == ["created"]
    assert Event.get().envelope == text


def test_batch_can_contain_500_events(candidate, session):
    post(candidate, *(envelope("prompt", at=second) for second in range(500)))
    assert candidate.get(f"/v1/sessions/{session.id}").json["eventCount"] == 500
    sessions.complete(session)
    assert Session.get_by_id(session.id).prompt_count == 500


@pytest.mark.parametrize("events", [[], "x", None])
def test_events_must_be_a_nonempty_list(candidate, session, events):
    assert error_paths(candidate.post(PATH, {"events": events})) == [["events"]]


@pytest.mark.parametrize(
    "rest", ["", ", not JSON", f", [{'[],' * 300_000}[]]"], ids=["valid", "invalid", "large"]
)
def test_parsing_stops_after_500_events(candidate, session, rest):
    response = post_text(candidate, f'{{"events": [{", ".join([EVENT] * 501)}{rest}]}}')
    assert error_of(response) == (400, "batch_too_large")
    assert Event.select().count() == 0


def event_with_values(count):
    return EVENT.replace("{}", f'{{"a": [{"0," * (count - 8)} 0]}}').replace('"x"', f'"{count}"')


def test_event_with_too_many_values_is_rejected(candidate, session):
    response = post_text(candidate, f'{{"events": [{event_with_values(100_001)}, {EVENT}]}}')
    error = "The JSON has more than 100000 values."
    assert response.json["results"] == [
        {"id": "100001", "status": "rejected", "error": error},
        {"id": "x", "status": "created"},
    ]


def test_batch_with_too_many_values_is_rejected(candidate, session):
    events = [event_with_values(count) for count in (66_664, 66_665, 66_666)]
    assert statuses(post_text(candidate, f'{{"events": [{", ".join(events)}]}}')) == ["created"] * 3
    response = post_text(candidate, f'{{"events": [{", ".join([*events, EVENT])}]}}')
    assert error_of(response) == (400, "too_many_values")


def test_body_must_be_a_json_object(candidate, session):
    for body in ("", "[]", '{"events": [}', '{"events": [1,]}', '{"events": [1]', '{"events": [1]} x', "{"):
        response = post_text(candidate, body)
        assert response.status_code == 400, body
        assert ("must be a JSON object" in response.json["error"]) == (body in ("", "[]"))
    assert Event.select().count() == 0


def test_batch_after_the_close_is_late_and_then_rejected(candidate, session, clock):
    sessions.complete(session)
    clock.fixed += timedelta(minutes=11)
    assert statuses(post(candidate, envelope())) == ["late"]
    clock.fixed += timedelta(hours=24)
    (rejected,) = post(candidate, envelope(id="x")).json["results"]
    assert rejected == {"id": "x", "status": "rejected", "error": "This session is closed."}


def test_key_must_be_redeemed(candidate):
    assert error_of(post(candidate, envelope())) == (409, "not_redeemed")
