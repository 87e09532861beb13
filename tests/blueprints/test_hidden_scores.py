"""Independent scoring: people can see other people's scores only after scoring every criterion (R41)."""

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
    """Two reviewers and an admin."""
    people = [("Ann", "reviewer"), ("Bob", "reviewer"), ("Carol", "admin")]
    return [Caller.person(app, make_person(organization, role, name=name)) for name, role in people]


@pytest.fixture
def scored(assessment, people):
    """A session that Ann has scored."""
    session = make_session(make_key(assessment))
    put_scores(people[0], session, 3)
    return session


def put_scores(caller, session, value, *keys):
    for key in keys or ("quality", "tests"):
        body_of(caller.put(f"/v1/sessions/{session.id}/scores/{key}", {"value": value, "comment": "Why"}))


def scorecard(caller, session):
    return body_of(caller.get(f"/v1/sessions/{session.id}/scores"))


def values(caller, session):
    """Return the current values visible to the caller, by criterion."""
    criteria = scorecard(caller, session)["criteria"]
    return {criterion["key"]: [score["value"] for score in criterion["scores"]] for criterion in criteria}


def test_other_scores_appear_after_a_person_has_scored_every_criterion(people, scored):
    ann, bob, carol = people
    for caller in (bob, carol):
        card = scorecard(caller, scored)
        assert [card[name] for name in ("othersHidden", "reviewerCount", "total")] == [True, 1, None]
        assert [criterion["history"] for criterion in card["criteria"]] == [[], []]
        assert {criterion["mean"] for criterion in card["criteria"]} == {None}
    put_scores(bob, scored, 1, "quality")
    assert values(bob, scored) == {"quality": [1], "tests": []}
    assert scorecard(bob, scored)["criteria"][0]["mean"] == 1
    put_scores(bob, scored, 1, "tests")
    assert values(bob, scored) == values(ann, scored) == {"quality": [1, 3], "tests": [1, 3]}
    assert scorecard(bob, scored)["othersHidden"] is False
    bob.delete(f"/v1/sessions/{scored.id}/scores/tests")
    assert values(bob, scored) == {"quality": [1, 3], "tests": [3]}  # Bob has already seen them
    assert values(carol, scored) == {"quality": [], "tests": []}


def test_service_accounts_and_observers_can_see_all_scores(app, organization, reviewer, reader, scored):
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

    hidden = dict.fromkeys(("total", "highestTotal", "spread"))
    assert score(bob) == hidden | {"disagreement": False, "criteria": [], "hidden": True}
    assert score(reviewer) == score(ann)
    assert (score(ann)["total"], score(ann)["hidden"]) == (6, False)
    row = bob.get(f"{path}/export").text.splitlines()[1]
    assert row.count(",3.0,") == 0
    assert row != reviewer.get(f"{path}/export").text.splitlines()[1]


def test_the_order_of_results_does_not_reveal_hidden_scores(people, assessment, reviewer):
    ann, bob, _ = people
    sessions = [make_session(make_key(assessment, f"{number}@example.com")) for number in range(4)]
    for session, value in zip(sessions, (1, 3, 2, 1), strict=True):
        put_scores(ann, session, value)
    put_scores(bob, sessions[3], 2)
    put_scores(bob, sessions[0], 1)
    ids = [str(session.id) for session in sessions]

    def sort_by(sort, caller, order="desc"):
        """Return the sessions' indexes, read page by page."""
        indexes, after = [], {}
        while after is not None:
            query = {"sort": sort, "order": order, "limit": 1} | after
            page = body_of(caller.get(f"/v1/assessments/{assessment.id}/results", **query))
            indexes += [ids.index(result["sessionId"]) for result in page["results"]]
            after = page["next"] and {"after": page["next"]}
        return indexes

    assert sort_by("scoreTotal", reviewer) == sort_by("scoreTotal", ann) == [1, 2, 3, 0]
    assert sort_by("scoreTotal", bob) == [3, 0, 2, 1]  # sessions without a visible score are last
    assert sort_by("scoreTotal", bob, "asc") == [0, 3, 1, 2]
    put_scores(reviewer, sessions[1], 1, "tests")
    assert sort_by("scoreSpread", reviewer) == [1, 3, 0, 2]
    assert sort_by("scoreSpread", bob) == [3, 0, 2, 1]


def test_the_feed_and_webhook_deliveries_hide_values(app, organization, people, reviewer, assessment):
    ann, bob, _ = people
    hook = make_webhook(organization)
    session = make_session(make_key(assessment))
    put_scores(ann, session, 3, "quality")
    publish_new()

    def visible_values(caller):
        events = body_of(caller.get("/v1/events", types="score.updated"))["events"]
        deliveries = body_of(caller.get(f"/v1/webhooks/{hook.id}/deliveries"))["deliveries"]
        updates = [delivery for delivery in deliveries if delivery["type"] == "score.updated"]
        bodies = [json.loads(delivery["request"]) for delivery in updates]
        return [event["data"]["value"] for event in (*events, *bodies)]

    assert visible_values(reviewer) == [3, 3]
    assert visible_values(bob) == [None, None]
    put_scores(bob, session, 1)
    assert visible_values(bob)[:1] == [3]


@pytest.mark.bypasses_ledger
def test_progress_counts_only_disagreements_that_the_person_can_see(people, clock, reviewer, scored):
    ann, bob, carol = people
    put_scores(carol, scored, 1)
    Session.update(closed_at=clock.now()).where(Session.id == scored.id).execute()

    def count(caller):
        (progress,) = body_of(caller.get("/v1/analytics/progress"))["assessments"]
        return progress["waiting"]["disagreements"]

    assert [count(caller) for caller in (ann, carol, reviewer)] == [1, 1, 1]
    assert count(bob) == 0
