"""Several events in one request: each is judged by itself."""

import json
from datetime import timedelta

import pytest
from answers import places, refusal
from factories import envelope

from models import Event, Session, sessions

PATH = "/v1/hooks/ingest/batch"


def results(answer):
    assert answer.status_code == 200, answer.json
    return [entry["status"] for entry in answer.json["results"]]


def test_each_event_is_answered_in_its_place(candidate, session):
    first, second = envelope(), envelope()
    answer = candidate.post(PATH, {"events": [first, second, first]})
    assert answer.json["results"] == [
        {"id": first["id"], "status": "created"},
        {"id": second["id"], "status": "created"},
        {"id": first["id"], "status": "skipped"},
    ]
    assert results(candidate.post(PATH, {"events": [second]})) == ["skipped"]
    assert Event.select().count() == 2


@pytest.mark.parametrize(
    "bad",
    [
        '{"id": "x"}',
        '{"id": "x", "id": "x", "kind": "prompt", "ts": "2026-04-01T09:00:00Z", "v": 1, "data": {}}',
        '{"id": "x", "kind": "a\\u0000", "ts": "2026-04-01T09:00:00Z", "v": 1, "data": {}}',
        '{"id": "x", "kind": "prompt", "ts": "yesterday", "v": 1, "data": {}}',
        '{"id": "x", "kind": "prompt", "ts": "2026-04-01T09:00:00Z", "v": 1, "data": '
        + "[" * 40
        + "]" * 40
        + "}",
        '{"id": "x", "kind": "prompt", "ts": "2026-04-01T09:00:00Z", "v": 1, "data": {}, "sessionId": "other"}',
        '{"id": "x", "kind": "prompt", "ts": "2026-04-01T09:00:00Z", "v": ' + "1" * 5000 + ', "data": {}}',
        "[" * 500 + "]" * 500,
        "NaN",
        "null",
        "17",
    ],
)
def test_one_refused_item_refuses_no_other(candidate, session, bad):
    good = json.dumps(envelope())
    answer = candidate.request(
        "POST", PATH, data=f'{{"events": [{bad}, {good}]}}', headers={"Content-Type": "application/json"}
    )
    assert results(answer) == ["refused", "created"]
    assert answer.json["results"][0]["error"]


@pytest.mark.parametrize(
    ("members", "place"), [({"kind": "a\0b"}, "kind: "), ({"v": 0.5}, "v: "), ({"ts": "soon"}, "ts: ")]
)
def test_a_refusal_names_the_member(candidate, session, members, place):
    (result,) = candidate.post(PATH, {"events": [envelope(**members)]}).json["results"]
    assert result["error"].startswith(place)


@pytest.mark.parametrize(
    "rest",
    [
        '"other": ' + "[" * 32 + "]" * 32,
        '"other": "a\\u0000"',
        '"other": "\\ud800"',
        '"other": 1, "other": 1',
        '"other": {"a": 1, "a": 1}',
        '"other": NaN',
        '"other": 1e999',
        '"other": 99999999999999999999',
        '"events": []',
    ],
)
def test_what_stands_beside_the_events_is_held_to_the_rules_of_any_body(candidate, session, rest):
    body = f'{{"events": [{json.dumps(envelope())}], {rest}}}'
    answer = candidate.request("POST", PATH, data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert Event.select().count() == 0


def test_envelopes_are_kept_as_they_came(candidate, session):
    text = '{"id":"e1" , "kind":"prompt","ts":"2026-04-01T09:00:00Z","v":1,"data":{"n":1.50,"t":"\\u0000\\ud800"}}'
    body = f' {{ "other" : [1], "events" :\n[ {text}\t] , "more": {{}} }} '
    answer = candidate.request("POST", PATH, data=body, headers={"Content-Type": "application/json"})
    assert results(answer) == ["created"]
    assert Event.get().envelope == text


def test_a_batch_counts_in_the_session(candidate, session):
    candidate.post(PATH, {"events": [envelope("prompt", at=second) for second in range(500)]})
    assert candidate.get(f"/v1/sessions/{session.id}").json["eventCount"] == 500
    sessions.complete(session)
    assert Session.get_by_id(session.id).prompt_count == 500


@pytest.mark.parametrize("events", [[], [{}] * 501, "x", None])
def test_a_batch_has_1_to_500_events(candidate, session, events):
    assert places(candidate.post(PATH, {"events": events})) == [["events"]]


@pytest.mark.parametrize(
    "body", ["", "[]", '{"events": [}', '{"events": [1,]}', '{"events": [1]', '{"events": [1]} x', "{"]
)
def test_what_is_no_json_object_is_refused_as_a_whole(candidate, session, body):
    answer = candidate.request("POST", PATH, data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert ("must be a JSON object" in answer.json["error"]) == (body in ("", "[]"))
    assert Event.select().count() == 0


def test_late_events_of_a_batch_are_stored_and_count_in_nothing(candidate, session, clock):
    sessions.complete(session)
    clock.fixed += timedelta(minutes=11)
    assert results(candidate.post(PATH, {"events": [envelope()]})) == ["late"]
    clock.fixed += timedelta(hours=24)
    assert results(candidate.post(PATH, {"events": [envelope()]})) == ["refused"]


def test_a_batch_needs_a_redeemed_key(candidate):
    assert refusal(candidate.post(PATH, {"events": [envelope()]})) == (409, "not_redeemed")
