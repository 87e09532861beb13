"""Ingest a batch of events, each with its own result."""

import json
from datetime import timedelta

import pytest
from factories import envelope
from response_checks import error_paths, refusal

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


def test_each_event_has_its_result_in_order(candidate, session):
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
def test_refused_event_refuses_no_other(candidate, session, text, event_id):
    response = post_text(candidate, f'{{"events": [{text}, {json.dumps(envelope())}]}}')
    assert statuses(response) == ["refused", "created"]
    result = response.json["results"][0]
    assert result["error"]
    assert result["id"] == event_id


def test_refusal_names_the_member(candidate, session):
    events = [envelope(**members) for members in ({"kind": "a\0b"}, {"v": 0.5}, {"ts": "soon"})]
    for member, result in zip(("kind", "v", "ts"), post(candidate, *events).json["results"], strict=True):
        assert result["error"].startswith(f"{member}: ")


def test_other_members_must_be_strict_json(candidate, session):
    values = ['"a\\u0000"', '"\\ud800"', '1, "other": 1', '{"a": 1, "a": 1}', "NaN", "1e999", "9" * 20]
    values.append("[" * 32 + "]" * 32)
    for other in (*(f'"other": {value}' for value in values), '"events": []'):
        response = post_text(candidate, f'{{"events": [{EVENT}], {other}}}')
        assert response.status_code == 400, other
    assert Event.select().count() == 0


def test_envelopes_are_stored_as_sent(candidate, session):
    text = EVENT.replace(", ", " ,  ").replace("{}", '{"n":1.50,"t":"\\u0000\\ud800"}')
    response = post_text(candidate, f' {{ "other" : [1], "events" :\n[ {text}\t] , "more": {{}} }} ')
    assert statuses(response) == ["created"]
    assert Event.get().envelope == text


def test_500_events_count_in_the_session(candidate, session):
    post(candidate, *(envelope("prompt", at=second) for second in range(500)))
    assert candidate.get(f"/v1/sessions/{session.id}").json["eventCount"] == 500
    sessions.complete(session)
    assert Session.get_by_id(session.id).prompt_count == 500


@pytest.mark.parametrize("events", [[], [{}] * 501, "x", None])
def test_batch_has_1_to_500_events(candidate, session, events):
    assert error_paths(candidate.post(PATH, {"events": events})) == [["events"]]


def test_body_must_be_a_json_object(candidate, session):
    for body in ("", "[]", '{"events": [}', '{"events": [1,]}', '{"events": [1]', '{"events": [1]} x', "{"):
        response = post_text(candidate, body)
        assert response.status_code == 400, body
        assert ("must be a JSON object" in response.json["error"]) == (body in ("", "[]"))
    assert Event.select().count() == 0


def test_events_of_a_batch_become_late_and_are_then_refused(candidate, session, clock):
    sessions.complete(session)
    clock.fixed += timedelta(minutes=11)
    assert statuses(post(candidate, envelope())) == ["late"]
    clock.fixed += timedelta(hours=24)
    (refused,) = post(candidate, envelope(id="x")).json["results"]
    assert refused == {"id": "x", "status": "refused", "error": "This session is closed."}


def test_key_must_be_redeemed(candidate):
    assert refusal(post(candidate, envelope())) == (409, "not_redeemed")
