"""Doing it twice: with an Idempotency-Key a request is done once, and answered again with the first answer."""

from datetime import timedelta

import pytest
from callers import Caller
from factories import make_assessment

from delivery.worker import Worker
from models import ApiToken, Assessment, CandidateKey, Delivery, IdempotentRequest

NEW = {"title": "Backend", "role": "Engineer", "taskBrief": "Fix it."}
LEVELS = [{"value": 0, "label": "Weak"}, {"value": 1, "label": "Strong"}]
CREATING = [
    ("/v1/assessments", NEW),
    ("/v1/assessments/<assessment>/keys", {"count": 1, "candidateEmails": ["alice@example.com"]}),
    ("/v1/issues", {"title": "One", "taskBrief": "Fix it."}),
    ("/v1/rubrics", {"name": "One", "criteria": [{"key": "quality", "title": "Quality", "levels": LEVELS}]}),
    ("/v1/org/tokens", {"name": "One"}),
]


def post(caller, path, body, key="one"):
    return caller.request("POST", path, json=body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize(("path", "body"), CREATING)
def test_every_create_is_done_once_and_answered_twice(reviewer, assessment, path, body):
    path = path.replace("<assessment>", str(assessment.id))
    first, again = (post(reviewer, path, body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.mimetype == "application/json"
    assert {name: row for name, row in again.json.items() if name not in ("secret", "note")} == {
        name: row for name, row in first.json.items() if name != "secret"
    }


def test_the_invitations_are_queued_once(reviewer, assessment):
    for _ in range(2):
        post(reviewer, f"/v1/assessments/{assessment.id}/keys", CREATING[1][1])
    assert CandidateKey.select().count() == Delivery.select().count() == 1


def test_without_the_header_nothing_is_remembered(reviewer):
    ids = {reviewer.post("/v1/assessments", NEW).json["assessment"]["id"] for _ in range(2)}
    assert len(ids) == 2
    assert not IdempotentRequest.select().exists()


def test_the_first_answer_stays_the_same_whatever_has_changed_since(reviewer):
    first = post(reviewer, "/v1/issues", CREATING[2][1]).json
    reviewer.patch(f"/v1/issues/{first['issue']['id']}", {"title": "Other"})
    assert post(reviewer, "/v1/issues", CREATING[2][1]).json == first


def test_who_used_up_the_quota_or_lost_the_subscription_still_gets_the_first_answer(reviewer, organization):
    first = post(reviewer, "/v1/assessments", NEW)
    organization.subscribe(None)
    organization.change_plan("trial")
    assert post(reviewer, "/v1/assessments", NEW, "another").status_code == 402
    assert post(reviewer, "/v1/assessments", NEW).json == first.json


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/assessments", NEW | {"title": "Other"}), ("/v1/issues", NEW), ("/v1/assessments", None)],
)
def test_a_key_belongs_to_one_request(reviewer, path, body):
    post(reviewer, "/v1/assessments", NEW)
    answer = post(reviewer, path, body)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert Assessment.select().count() == 1


def test_a_key_belongs_to_one_credential(app, reviewer, neighbour, organization):
    colleague = Caller.reviewer(app, organization)
    answers = [post(caller, "/v1/assessments", NEW) for caller in (reviewer, colleague, neighbour)]
    assert len({answer.json["assessment"]["id"] for answer in answers}) == 3


def test_a_refusal_is_not_kept(reviewer):
    refused = post(reviewer, "/v1/assessments", NEW | {"title": ""})
    assert refused.status_code == 400
    assert not IdempotentRequest.select().exists()
    assert post(reviewer, "/v1/assessments", NEW).status_code == 201


def test_who_may_not_write_is_refused_before_anything_is_looked_up(reader, anonymous):
    assert post(reader, "/v1/assessments", NEW).status_code == 403
    assert post(anonymous, "/v1/assessments", NEW).status_code == 401


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "naïve", "tab\there"])
def test_a_key_is_visible_ascii(reviewer, key):
    answer = post(reviewer, "/v1/assessments", NEW, key)
    assert answer.status_code == 400
    assert answer.json["details"][0]["path"] == ["Idempotency-Key"]
    assert not Assessment.select().exists()


def test_a_key_of_255_characters_is_taken(reviewer):
    assert post(reviewer, "/v1/assessments", NEW, "!~" * 127 + "x").status_code == 201


def test_a_secret_is_shown_once_and_stored_nowhere(reviewer):
    first, again = (post(reviewer, "/v1/org/tokens", {"name": "One"}).json for _ in range(2))
    assert first["secret"].startswith("psk_live_")
    assert again["secret"] is None
    assert "note" not in first
    assert "not stored" in again["note"]
    assert first["secret"] not in IdempotentRequest.get().answer
    assert ApiToken.select().where(ApiToken.name == "One").count() == 1


def test_what_a_caller_writes_into_the_key_is_not_stored(reviewer):
    post(reviewer, "/v1/assessments", NEW, "for-alice@example.com")
    assert "alice" not in str(IdempotentRequest.select().dicts().get())


def test_after_24_hours_the_key_is_free_again(reviewer, clock):
    first = post(reviewer, "/v1/assessments", NEW).json
    clock.fixed += timedelta(hours=24, milliseconds=-1)
    assert post(reviewer, "/v1/assessments", NEW).json == first
    clock.fixed += timedelta(milliseconds=1)
    assert post(reviewer, "/v1/assessments", NEW).json != first


def test_the_worker_deletes_what_is_older_than_a_day(app, reviewer, clock):
    post(reviewer, "/v1/assessments", NEW, "old")
    clock.fixed += timedelta(hours=20)
    post(reviewer, "/v1/assessments", NEW, "young")
    clock.fixed += timedelta(hours=5)
    Worker(app.config).run_once()
    assert IdempotentRequest.select().count() == 1


def test_an_erased_candidate_is_in_no_answer_any_more(reviewer, organization):
    path = f"/v1/assessments/{make_assessment(organization).id}/keys"
    people = {"count": 2, "candidateNames": ["Alice", "Bob"]}
    alice, bob = post(reviewer, path, people).json["keys"]
    assert reviewer.delete(f"/v1/candidates/{alice['id']}/data").status_code == 200
    again = post(reviewer, path, people)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json["keys"][1] == bob
    assert again.json["keys"][0] == alice | {"candidateName": None, "metadata": {}}
