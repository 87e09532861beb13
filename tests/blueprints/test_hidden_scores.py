"""Independent scoring: a person sees the others' scores after scoring every criterion (R41)."""

import json

import pytest
from callers import Caller
from factories import make_assessment, make_key, make_person, make_rubric, make_session, make_webhook
from response_checks import body_of

from models import Session
from models.webhooks.outbox import publish_new

LEVELS = [{"value": value, "label": f"Level {value}"} for value in (1, 2, 3)]
CRITERIA = [{"key": key, "title": key, "weight": 1, "levels": LEVELS} for key in ("quality", "tests")]


@pytest.fixture
def assessment(organization):
    return make_assessment(organization, rubric_id=make_rubric(organization, criteria=CRITERIA).id)


@pytest.fixture
def people(app, organization):
    """Two reviewers, and an admin."""
    people = [("Ann", "reviewer"), ("Bob", "reviewer"), ("Carol", "admin")]
    return [Caller.person(app, make_person(organization, role, name=name)) for name, role in people]


@pytest.fixture
def scored(assessment, people):
    """A session that Ann has scored."""
    session = make_session(make_key(assessment))
    for key in ("quality", "tests"):
        give(people[0], session, key, 3)
    return session


def give(caller, session, key, value):
    body_of(caller.put(f"/v1/sessions/{session.id}/scores/{key}", {"value": value, "comment": "Why"}))


def scorecard(caller, session):
    return body_of(caller.get(f"/v1/sessions/{session.id}/scores"))


def values(caller, session):
    """The current values that the caller sees, by criterion."""
    shown = scorecard(caller, session)["criteria"]
    return {criterion["key"]: [score["value"] for score in criterion["scores"]] for criterion in shown}


def test_the_others_scores_appear_after_the_last_criterion(people, scored):
    ann, bob, carol = people
    for caller in (bob, carol):
        shown = scorecard(caller, scored)
        assert [shown[name] for name in ("othersHidden", "reviewerCount", "total")] == [True, 1, None]
        assert [each["history"] for each in shown["criteria"]] == [[], []]
        assert {each["mean"] for each in shown["criteria"]} == {None}
    give(bob, scored, "quality", 1)
    assert values(bob, scored) == {"quality": [1], "tests": []}
    assert scorecard(bob, scored)["criteria"][0]["mean"] == 1
    give(bob, scored, "tests", 1)
    assert values(bob, scored) == values(ann, scored) == {"quality": [1, 3], "tests": [1, 3]}
    assert scorecard(bob, scored)["othersHidden"] is False
    bob.delete(f"/v1/sessions/{scored.id}/scores/tests")
    assert values(bob, scored) == {"quality": [1, 3], "tests": [3]}  # they know them now
    assert values(carol, scored) == {"quality": [], "tests": []}


def test_services_and_observers_see_all_scores(app, organization, reviewer, reader, scored):
    observer = Caller.person(app, make_person(organization, "observer", name="Olga"))
    for caller in (reviewer, reader, observer):
        assert values(caller, scored) == {"quality": [3], "tests": [3]}
        assert scorecard(caller, scored)["othersHidden"] is False


def test_results_hide_scores_from_people_who_have_not_scored(people, reviewer, scored):
    ann, bob, _ = people
    path = f"/v1/assessments/{scored.assessment_id}/results"

    def score(caller):
        (result,) = body_of(caller.get(path))["results"]
        return result["score"]

    nothing = dict.fromkeys(("total", "highestTotal", "spread"))
    assert score(bob) == nothing | {"disagreement": False, "criteria": [], "hidden": True}
    assert score(reviewer) == score(ann)
    assert (score(ann)["total"], score(ann)["hidden"]) == (6, False)
    row = bob.get(f"{path}/export").text.splitlines()[1]
    assert row.count(",3.0,") == 0
    assert row != reviewer.get(f"{path}/export").text.splitlines()[1]


def test_the_order_of_results_shows_no_hidden_scores(people, assessment, reviewer):
    ann, bob, _ = people
    sessions = [make_session(make_key(assessment, f"{number}@example.com")) for number in range(4)]
    for session, value in zip(sessions, (1, 3, 2, 1), strict=True):
        for key in ("quality", "tests"):
            give(ann, session, key, value)
    for key in ("quality", "tests"):
        give(bob, sessions[3], key, 2)
        give(bob, sessions[0], key, 1)

    def in_order(caller, order, sort="scoreTotal"):
        found, after = [], None
        while True:
            query = {"sort": sort, "order": order, "limit": 1, **({"after": after} if after else {})}
            page = body_of(caller.get(f"/v1/assessments/{assessment.id}/results", **query))
            found += [each["sessionId"] for each in page["results"]]
            after = page["next"]
            if after is None:
                return [[str(each.id) for each in sessions].index(session_id) for session_id in found]

    assert in_order(reviewer, "desc") == in_order(ann, "desc") == [1, 2, 3, 0]
    assert in_order(bob, "desc") == [3, 0, 2, 1]  # then those without a visible score, by their start
    assert in_order(bob, "asc") == [0, 3, 1, 2]
    give(reviewer, sessions[1], "tests", 1)
    assert in_order(reviewer, "desc", "scoreSpread") == [1, 3, 0, 2]
    assert in_order(bob, "desc", "scoreSpread") == [3, 0, 2, 1]


def test_the_feed_and_webhook_deliveries_hide_values(app, organization, people, reviewer, assessment):
    ann, bob, _ = people
    hook = make_webhook(organization)
    session = make_session(make_key(assessment))
    give(ann, session, "quality", 3)
    publish_new()

    def shown(caller):
        events = body_of(caller.get("/v1/events", types="score.updated"))["events"]
        deliveries = body_of(caller.get(f"/v1/webhooks/{hook.id}/deliveries"))["deliveries"]
        bodies = [json.loads(each["request"]) for each in deliveries if each["type"] == "score.updated"]
        return [each["data"]["value"] for each in (*events, *bodies)]

    assert shown(reviewer) == [3, 3]
    assert shown(bob) == [None, None]
    for key in ("quality", "tests"):
        give(bob, session, key, 1)
    assert shown(bob)[:1] == [3]


def test_progress_counts_disagreements_that_the_person_may_know(people, clock, reviewer, scored):
    ann, bob, carol = people
    for key in ("quality", "tests"):
        give(carol, scored, key, 1)
    Session.update(closed_at=clock.now()).where(Session.id == scored.id).execute()

    def count(caller):
        (progress,) = body_of(caller.get("/v1/analytics/progress"))["assessments"]
        return progress["waiting"]["disagreements"]

    assert [count(caller) for caller in (ann, carol, reviewer)] == [1, 1, 1]
    assert count(bob) == 0
