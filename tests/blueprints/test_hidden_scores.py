"""Independent scoring: people see others' scores after scoring, a hiring decision, or an explicit choice (R49).

`test_no_read_depends_on_hidden_scores` (tests/access/test_blind.py) reads every GET in each of these states.
"""

import json

import pytest
from callers import Caller
from factories import make_assessment, make_key, make_person, make_rubric, make_session, make_webhook
from response_checks import body_of, error_of

from models import AuditEntry, ScoreReveal, Session, User
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


def test_hidden_scores_of_an_earlier_version_are_counted(people, reviewer, assessment, scored):
    path = f"/v1/rubrics/{assessment.rubric_id}"
    criteria = body_of(reviewer.get(path))["rubric"]["criteria"]
    body_of(reviewer.patch(path, {"criteria": [criteria[0] | {"title": "Renamed"}, *criteria[1:]]}))
    card = scorecard(people[1], scored)
    assert [card[name] for name in ("othersHidden", "rubricVersion", "reviewerCount")] == [True, 2, 1]


def test_a_removed_rubrics_version_can_be_read_while_scores_are_hidden(people, reviewer, assessment, scored):
    body_of(reviewer.patch(f"/v1/assessments/{assessment.id}", {"rubricId": None}))
    for query in ({}, {"version": 1}):
        card = body_of(people[1].get(f"/v1/sessions/{scored.id}/scores", **query))
        assert [card[name] for name in ("othersHidden", "rubricVersion", "reviewerCount")] == [True, 1, 1]


def reveal(caller, row, kind="sessions"):
    return caller.post(f"/v1/{kind}/{row.id}/scores/reveal")


def test_a_person_can_choose_to_see_the_scores_of_a_session_or_an_assessment(people, assessment, scored):
    ann, bob, carol = people
    other = make_session(make_key(assessment))
    put_scores(ann, other, 2)
    for _ in range(2):
        assert body_of(reveal(bob, scored)) == {"ok": True}
        assert body_of(reveal(carol, assessment, "assessments")) == {"ok": True}
    assert values(bob, scored) == values(carol, scored) == {"quality": [3], "tests": [3]}
    assert values(bob, other) == {"quality": [], "tests": []}
    assert values(carol, other) == {"quality": [2], "tests": [2]}
    assert ScoreReveal.select().count() == 2
    actions = [entry.action for entry in AuditEntry.select() if entry.action.startswith("reveal")]
    assert sorted(actions) == ["revealAssessmentScores"] * 2 + ["revealScores"] * 2


def test_only_people_can_choose_and_only_in_their_organization(app, reviewer, neighbour, assessment, scored):
    stranger = Caller.person(app, make_person(neighbour.row.organization))
    for row, kind in ((scored, "sessions"), (assessment, "assessments")):
        assert error_of(reveal(reviewer, row, kind)) == (403, "insufficient_role")
        assert error_of(reveal(stranger, row, kind)) == (404, "not_found")


def test_choosing_to_see_the_scores_reveals_no_name(people, assessment, scored):
    assessment.update_columns(blind=True)
    scored.key.update_columns(candidate_name="Zoe")
    body_of(reveal(people[1], scored))
    assert values(people[1], scored) == {"quality": [3], "tests": [3]}
    assert body_of(people[1].get(f"/v1/sessions/{scored.id}"))["candidateName"] is None


def test_a_hiring_decision_reveals_the_scores_even_if_it_is_undone(people, scored):
    ann, bob, _ = people
    for decision in ("rejected", "undecided"):
        body_of(ann.put(f"/v1/candidates/{scored.key_id}/decision", {"decision": decision}))
        assert values(bob, scored) == {"quality": [3], "tests": [3]}


def independence(caller, session):
    """Return whether each score is independent, by reviewer and criterion, newest first."""
    card = scorecard(caller, session)
    scores = [score for each in (*card["criteria"], card["recommendation"]) for score in each["history"]]
    return {
        (score["reviewer"]["name"], score["criterion"]): [
            each["independent"]
            for each in scores
            if (each["reviewer"], each["criterion"]) == (score["reviewer"], score["criterion"])
        ]
        for score in scores
    }


def test_a_score_is_independent_unless_the_others_scores_were_visible(people, reviewer, assessment, scored):
    ann, bob, carol = people
    put_scores(ann, scored, 2, "tests")  # nobody else has scored
    put_scores(bob, scored, 1, "quality")
    body_of(reveal(bob, scored))
    put_scores(bob, scored, 2)
    put_scores(ann, scored, 3, "recommendation")  # Ann has completed her scoring
    batch = [{"criterion": key, "value": 1} for key in ("quality", "tests", "recommendation")]
    body_of(carol.put(f"/v1/sessions/{scored.id}/scores", {"scores": batch}))
    put_scores(reviewer, scored, 1, "quality")
    assert independence(reviewer, scored) == {
        ("Ann", "quality"): [True],
        ("Ann", "tests"): [True, True],
        ("Ann", "recommendation"): [False],
        ("Bob", "quality"): [False, True],
        ("Bob", "tests"): [False],
        ("Carol", "quality"): [True],
        ("Carol", "tests"): [True],
        ("Carol", "recommendation"): [True],
        (reviewer.row.name, "quality"): [False],
    }


def test_withdrawn_scores_of_others_count_as_seen(people, assessment, reviewer):
    bob = people[1]
    session = make_session(make_key(assessment))
    put_scores(reviewer, session, 1, "quality")
    assert independence(reviewer, session) == {(reviewer.row.name, "quality"): [True]}
    reviewer.delete(f"/v1/sessions/{session.id}/scores/quality")
    body_of(reveal(bob, assessment, "assessments"))
    put_scores(bob, session, 1, "quality")
    assert independence(reviewer, session)[("Bob", "quality")] == [False]


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

    hidden = dict.fromkeys(("total", "highestTotal", "spread", "reviewers", "independent"))
    assert score(bob) == hidden | {"disagreement": False, "criteria": [], "hidden": True}
    assert score(reviewer) == score(ann)
    assert (score(ann)["total"], score(ann)["hidden"]) == (6, False)
    row = bob.get(f"{path}/export").text.splitlines()[1]
    assert row.count(",3.0,") == 0
    assert row.count(",hidden") == 4  # total, reviewers and both criteria
    assert row != reviewer.get(f"{path}/export").text.splitlines()[1]


def test_a_reason_without_a_decision_reveals_nothing(people, reviewer, scored):
    _, bob, _ = people
    path = f"/v1/candidates/{scored.key_id}"
    body_of(reviewer.put(f"{path}/decision", {"decision": "undecided", "reason": "Ask for references."}))
    candidate = body_of(reviewer.get(path))["candidate"]
    assert (candidate["decisionReason"], candidate["decidedAt"]) == ("Ask for references.", None)
    assert scorecard(bob, scored)["othersHidden"] is True


def test_views_and_their_counts_do_not_reveal_a_hidden_disagreement(people, reviewer, scored):
    ann, bob, carol = people
    put_scores(reviewer, scored, 1)
    for path in (f"/v1/assessments/{scored.assessment_id}/results", "/v1/results"):
        for caller, count in ((ann, 1), (bob, 0), (carol, 0), (reviewer, 1)):
            assert body_of(caller.get(f"{path}/views"))["views"]["disagreement"] == count
            assert len(body_of(caller.get(path, view="disagreement"))["results"]) == count


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

    for sort in ("scoreTotal", "rank"):
        assert sort_by(sort, reviewer) == sort_by(sort, ann) == [1, 2, 3, 0]
        assert sort_by(sort, bob) == [3, 0, 2, 1]  # sessions without a visible score are last
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


def test_a_score_after_seeing_others_as_an_observer_is_not_independent(
    app, organization, people, scored, assessment
):
    person = make_person(organization, "observer", name="Dan")
    assert values(Caller.person(app, person), scored) == {"quality": [3], "tests": [3]}
    admin = people[2]
    body_of(admin.patch(f"/v1/org/people/{person.id}", {"role": "reviewer"}))
    dan = Caller.person(app, User.get_by_id(person.id))
    later = make_session(make_key(assessment))
    put_scores(people[0], later, 2)
    for session in (scored, later):
        put_scores(dan, session, 1)
        (score, *_) = scorecard(dan, session)["criteria"][0]["scores"]
        assert score["independent"] is (session == later)
