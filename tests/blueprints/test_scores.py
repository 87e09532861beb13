"""Scores: rubric versions, evidence, history and totals (R2, R5)."""

from datetime import timedelta

import pytest
from callers import Caller
from factories import add_event, envelope, make_assessment, make_key, make_person, make_rubric, make_session
from response_checks import body_of, error_of, error_paths

from models import FeedEvent, Score, privacy, sessions
from rules.timestamps import format_timestamp


def criterion(key, weight=1, values=(1, 3, 5)):
    levels = [{"value": value, "label": f"Level {value}"} for value in values]
    return {"key": key, "title": key.title(), "weight": weight, "levels": levels}


@pytest.fixture
def rubric(organization):
    return make_rubric(organization, criteria=[criterion("quality", 2), criterion("tests", 0.5)])


@pytest.fixture
def scored(organization, rubric):
    """An open session with a rubric."""
    session = make_session(make_key(make_assessment(organization, rubric_id=rubric.id)))
    add_event(session, envelope(id="first"))
    return session


def path_of(session, key=""):
    return f"/v1/sessions/{session.id}/scores" + (f"/{key}" if key else "")


def put(caller, session, key, value, **body):
    return body_of(caller.put(path_of(session, key), {"value": value} | body))["score"]


def scorecard(caller, session, **query):
    return body_of(caller.get(path_of(session), **query))


def get_criterion(body, key):
    return next(criterion for criterion in body["criteria"] if criterion["key"] == key)


def test_an_empty_scorecard_lists_the_criteria(reviewer, scored, rubric):
    card = scorecard(reviewer, scored)
    names = ("key", "weight", "lowest", "highest", "score", "history")
    assert [tuple(row[name] for name in names) for row in card.pop("criteria")] == [
        ("quality", 2, 1, 5, None, []),
        ("tests", 0.5, 1, 5, None, []),
    ]
    recommendation = card.pop("recommendation")
    assert [(level["value"], level["label"]) for level in recommendation.pop("levels")] == [
        (1, "Strong no"),
        (2, "No"),
        (3, "Yes"),
        (4, "Strong yes"),
    ]
    without_scores = {"mean": None, "spread": None, "disagreement": False, "scores": [], "history": []}
    named = {"key": "recommendation", "title": "Recommendation", "lowest": 1, "highest": 4, "score": None}
    assert recommendation == named | without_scores
    assert card == {
        "rubric": {"id": str(rubric.id), "name": "Engineers", "version": 1},
        "rubricId": str(rubric.id),
        "rubricName": "Engineers",
        "rubricVersion": 1,
        "currentRubricVersion": 1,
        "total": None,
        "lowestTotal": 2.5,
        "highestTotal": 12.5,
        "othersHidden": False,
        "reviewerCount": 0,
    }


def test_put_returns_the_score(clock, reviewer, scored):
    score = put(reviewer, scored, "quality", 4, comment=" Found it by reading. ", evidence=["first"])
    assert score == {
        "id": score["id"],
        "criterion": "quality",
        "rubricVersion": 1,
        "value": 4,
        "comment": "Found it by reading.",
        "evidence": ["first"],
        "reviewer": {"id": str(reviewer.row.id), "name": reviewer.row.name, "kind": "serviceAccount"},
        "reason": None,
        "createdAt": "2026-04-01T09:00:00.000Z",
        "withdrawnAt": None,
        "withdrawalReason": None,
        "independent": True,
    }
    assert get_criterion(scorecard(reviewer, scored), "quality")["score"] == score
    without_optional_fields = put(reviewer, scored, "tests", 3)
    assert (without_optional_fields["comment"], without_optional_fields["evidence"]) == (None, [])


def test_repeating_the_latest_score_is_idempotent(reviewer, scored):
    body = {"comment": "Why", "evidence": ["first"]}
    assert put(reviewer, scored, "quality", 2, **body) == put(reviewer, scored, "quality", 2, **body)
    assert Score.select().count() == 1


def test_each_change_updates_the_session(clock, reviewer, scored):
    changes = [
        lambda: put(reviewer, scored, "quality", 2),
        lambda: put(reviewer, scored, "quality", 2, comment="Why"),
        lambda: put(reviewer, scored, "recommendation", 3),
        lambda: body_of(reviewer.delete(path_of(scored, "recommendation"))),
    ]
    for change in changes:
        clock.fixed += timedelta(minutes=1)
        change()
        session = body_of(reviewer.get(f"/v1/sessions/{scored.id}"))
        assert session["updatedAt"] == format_timestamp(clock.fixed)


def test_a_new_rubric_version_starts_a_new_scorecard(reviewer, scored, rubric):
    put(reviewer, scored, "quality", 4)
    put(reviewer, scored, "tests", 3)
    rubric.apply_changes({"criteria": [criterion("quality", 10), criterion("speed", 1)]})
    card = scorecard(reviewer, scored)
    assert (card["rubricVersion"], card["currentRubricVersion"], card["total"]) == (1, 2, 9.5)
    assert error_of(reviewer.put(path_of(scored, "tests"), {"value": 1})) == (404, "not_found")
    assert put(reviewer, scored, "speed", 5)["rubricVersion"] == 2
    card = scorecard(reviewer, scored)
    assert (card["rubricVersion"], card["total"]) == (2, None)
    quality = get_criterion(card, "quality")
    assert quality["score"] is None
    assert [(score["value"], score["rubricVersion"]) for score in quality["history"]] == [(4, 1)]
    put(reviewer, scored, "quality", 2)
    assert scorecard(reviewer, scored)["total"] == 25
    assert scorecard(reviewer, scored, version=1)["total"] == 9.5


def test_only_existing_versions_can_be_requested(reviewer, organization, scored):
    make_rubric(organization).apply_changes({"name": "Another rubric with a version 2"})
    for version in (2, 2**31 - 1):
        assert error_of(reviewer.get(path_of(scored), version=version)) == (404, "not_found")
    for version in (0, -1, "x", 2**31):
        assert error_paths(reviewer.get(path_of(scored), version=version)) == [["version"]]


@pytest.fixture
def bob(app, organization):
    return Caller.person(app, make_person(organization))


@pytest.fixture
def bobs_other_token(app, bob):
    return Caller.person(app, bob.row.user)


def test_total_is_the_weighted_sum_of_mean_scores(reviewer, bob, bobs_other_token, scored, organization):
    put(reviewer, scored, "quality", 5)
    put(bob, scored, "quality", 2)
    put(bobs_other_token, scored, "quality", 1)
    put(bob, scored, "tests", 2)
    card = scorecard(reviewer, scored)
    quality, tests = get_criterion(card, "quality"), get_criterion(card, "tests")
    person = {"id": str(bob.row.user_id), "name": "Bob", "kind": "person"}
    values = [(score["value"], score["reviewer"]) for score in quality["scores"]]
    assert values == [
        (1, person),
        (5, {"id": str(reviewer.row.id), "name": reviewer.row.name, "kind": "serviceAccount"}),
    ]
    names = ("mean", "spread", "disagreement")
    assert [quality[name] for name in names] == [3, 4, True]
    assert [tests[name] for name in names] == [2, 0, False]
    assert len(quality["history"]) == 3
    assert card["total"] == 2 * 3 + 0.5 * 2


def test_means_are_rounded_but_the_total_is_computed_exactly(app, organization, scored, reviewer, bob):
    third = Caller.person(app, make_person(organization, name="Third"))
    for caller, value in ((reviewer, 1), (bob, 1), (third, 2)):
        put(caller, scored, "quality", value)
        put(caller, scored, "tests", 1)
    card = scorecard(reviewer, scored)
    assert get_criterion(card, "quality")["mean"] == 1.333
    assert card["total"] == 3.167  # 2 * 4/3 + 0.5


def test_a_revised_score_keeps_the_earlier_score_in_the_history(reviewer, bob, scored):
    put(bob, scored, "quality", 2)
    put(reviewer, scored, "quality", 5)
    revised = put(bob, scored, "quality", 4, reason="Read the tests again.")
    quality = get_criterion(scorecard(reviewer, scored), "quality")
    assert [score["value"] for score in quality["scores"]] == [4, 5]
    assert quality["score"] == quality["scores"][0] == revised
    history = [(score["value"], score["reviewer"]["name"], score["reason"]) for score in quality["history"]]
    assert history == [
        (4, "Bob", "Read the tests again."),
        (5, reviewer.row.name, None),
        (2, "Bob", None),
    ]
    assert put(bob, scored, "quality", 4) == revised


def test_a_withdrawn_score_no_longer_counts(clock, reviewer, bob, bobs_other_token, scored):
    for value in (1, 2):
        score = put(bob, scored, "quality", value)
    put(reviewer, scored, "quality", 5)
    assert error_of(bob.delete(path_of(scored, "tests"))) == (404, "not_found")
    assert body_of(bobs_other_token.delete(path_of(scored, "quality"))) == {"ok": True, "id": score["id"]}
    assert error_of(bob.delete(path_of(scored, "quality"))) == (404, "not_found")
    quality = get_criterion(scorecard(reviewer, scored), "quality")
    assert [row["value"] for row in quality["scores"]] == [5]
    withdrawn = [(row["value"], row["withdrawnAt"]) for row in quality["history"]]
    assert withdrawn == [(5, None), (2, "2026-04-01T09:00:00.000Z"), (1, None)]
    assert FeedEvent.select().where(FeedEvent.type == "score.withdrawn").count() == 1
    assert put(bob, scored, "quality", 2)["id"] != score["id"]
    assert get_criterion(scorecard(reviewer, scored), "quality")["mean"] == 3.5


def test_withdrawing_the_only_score_of_a_version_restores_the_previous_total(reviewer, bob, scored, rubric):
    for key in ("quality", "tests"):
        put(reviewer, scored, key, 3)
    rubric.apply_changes({"name": "Renamed"})
    put(bob, scored, "quality", 5)
    names = ("rubricVersion", "total", "reviewerCount")
    assert [scorecard(reviewer, scored)[name] for name in names] == [2, None, 1]
    assert bob.delete(path_of(scored, "quality")).status_code == 200
    assert [scorecard(reviewer, scored)[name] for name in ("rubricVersion", "total")] == [1, 7.5]
    (result,) = body_of(reviewer.get(f"/v1/assessments/{scored.assessment_id}/results"))["results"]
    assert result["score"]["total"] == 7.5


def test_erasure_removes_withdrawal_reasons_from_the_history(reviewer, scored):
    score = put(reviewer, scored, "quality", 2)
    response = reviewer.post(path_of(scored, "quality") + "/withdraw", {"reason": "Wrong candidate."})
    assert body_of(response) == {"ok": True, "id": score["id"]}
    for reason in ("Wrong candidate.", None):
        (withdrawn,) = get_criterion(scorecard(reviewer, scored), "quality")["history"]
        assert withdrawn["withdrawalReason"] == reason
        privacy.erase(scored.key)


def test_a_score_for_an_outdated_rubric_version_is_rejected(reviewer, scored, rubric):
    put(reviewer, scored, "quality", 2, rubricVersion=1)
    rubric.apply_changes({"name": "Renamed"})
    response = reviewer.put(path_of(scored, "quality"), {"value": 3, "rubricVersion": 1})
    assert error_of(response) == (409, "rubric_changed")
    assert put(reviewer, scored, "quality", 3, rubricVersion=2)["rubricVersion"] == 2


def test_a_score_for_another_rubric_with_the_same_version_is_rejected(reviewer, organization, scored, rubric):
    seen = {"rubricId": str(rubric.id), "rubricVersion": 1}
    other = make_rubric(organization, name="Other", criteria=[criterion("quality", values=(0, 10))])
    body_of(reviewer.patch(f"/v1/assessments/{scored.assessment_id}", {"rubricId": str(other.id)}))
    for path, body in (("quality", {"value": 3}), ("", {"scores": [{"criterion": "quality", "value": 3}]})):
        response = reviewer.put(path_of(scored, path), body | seen)
        assert error_of(response) == (409, "rubric_changed")
    put(reviewer, scored, "quality", 10, rubricId=str(other.id), rubricVersion=1)


def test_scores_stay_when_the_rubric_is_removed(reviewer, scored):
    put(reviewer, scored, "quality", 5)
    put(reviewer, scored, "tests", 3)
    before = scorecard(reviewer, scored)
    body_of(reviewer.patch(f"/v1/assessments/{scored.assessment_id}", {"rubricId": None}))
    assert scorecard(reviewer, scored) == before | {"currentRubricVersion": None}
    assert scorecard(reviewer, scored, version=1) == before | {"currentRubricVersion": None}
    assert error_of(reviewer.get(path_of(scored), version=2)) == (404, "not_found")
    (result,) = body_of(reviewer.get(f"/v1/assessments/{scored.assessment_id}/results"))["results"]
    assert result["score"]["total"] == before["total"]


def test_replacing_an_outdated_score_is_rejected(reviewer, bob, scored):
    first = put(reviewer, scored, "quality", 2)["id"]
    put(bob, scored, "quality", 4)
    second = put(reviewer, scored, "quality", 3, replaces=first)["id"]
    for replaced in (first, str(scored.id)):
        response = reviewer.put(path_of(scored, "quality"), {"value": 5, "replaces": replaced})
        assert error_of(response) == (409, "score_changed")
    reviewer.delete(path_of(scored, "quality"))
    response = reviewer.put(path_of(scored, "quality"), {"value": 5, "replaces": second})
    assert error_of(response) == (409, "score_changed")


@pytest.mark.parametrize(
    ("field", "invalid"),
    [
        *(("value", value) for value in (0, 6, 1000, -1, 1001, 2.0, "2", True, None, [1])),
        *(("evidence", ids) for ids in (["first"] * 101, "first", [1], [""], [None], ["x" * 256])),
        *(("evidence", [text]) for text in ("diff:a.py", "diff:a.py:0", "diff::1", "diff:a.py:1x", "test:")),
        *(("comment", text) for text in ("", " ", "x" * 5001, 1)),
    ],
)
def test_invalid_scores_are_rejected(reviewer, scored, field, invalid):
    response = reviewer.put(path_of(scored, "quality"), {"value": 1, field: invalid})
    assert {first for first, *_ in error_paths(response)} == {field}
    assert error_paths(reviewer.put(path_of(scored, "quality"), {})) == [["value"]]
    assert Score.select().count() == 0


def test_evidence_must_reference_events_from_the_session(reviewer, session, scored):
    add_event(session, envelope(id="elsewhere"))
    body = {"value": 1, "evidence": ["first", "elsewhere"]}
    assert error_paths(reviewer.put(path_of(scored, "quality"), body)) == [["evidence", 1]]
    assert Score.select().count() == 0


def test_lines_of_the_diff_and_hidden_tests_are_evidence(reviewer, scored):
    evidence = ["diff:src/app.py:12", "diff:a: b.py:-3", "test:tests/test_app.py::test_retry", "first"]
    assert put(reviewer, scored, "quality", 1, evidence=evidence)["evidence"] == evidence


def test_closed_sessions_can_be_scored_with_late_events_as_evidence(clock, reviewer, scored):
    sessions.complete(scored)
    clock.fixed += timedelta(hours=1)
    assert add_event(scored, envelope(id="late")) == "late"
    assert put(reviewer, scored, "quality", 1, evidence=["late"])["evidence"] == ["late"]


def test_scores_require_a_rubric(reviewer, session):
    card = scorecard(reviewer, session)
    assert card.pop("criteria") == []
    assert set(card) > {"rubric", "rubricId", "total"}
    assert (card.pop("othersHidden"), card.pop("reviewerCount")) == (False, 0)
    assert set(card.values()) == {None}
    assert error_of(reviewer.get(path_of(session), version=1)) == (404, "not_found")
    assert error_of(reviewer.put(path_of(session, "quality"), {"value": 1})) == (409, "no_rubric")


def test_a_recommendation_is_not_part_of_the_total(reviewer, bob, scored, rubric):
    put(reviewer, scored, "recommendation", 4, comment="Hire", evidence=["first"])
    card = scorecard(reviewer, scored)
    assert (card["recommendation"]["mean"], card["total"], card["reviewerCount"]) == (4, None, 0)
    for key in ("quality", "tests"):
        put(reviewer, scored, key, 3)
    put(bob, scored, "recommendation", 1)
    card = scorecard(reviewer, scored)
    recommendation = card["recommendation"]
    assert (card["total"], card["reviewerCount"], recommendation["mean"]) == (7.5, 1, 2.5)
    assert [score["value"] for score in recommendation["scores"]] == [1, 4]
    # It counts in all versions of the rubric, and does not change the version of the total.
    rubric.apply_changes({"name": "Renamed"})
    put(reviewer, scored, "recommendation", 3)
    card = scorecard(reviewer, scored)
    assert (card["rubricVersion"], card["total"], card["recommendation"]["mean"]) == (1, 7.5, 2)
    assert bob.delete(path_of(scored, "recommendation")).status_code == 200
    card = scorecard(reviewer, scored)
    assert (card["total"], card["recommendation"]["mean"]) == (7.5, 3)
    assert error_paths(reviewer.put(path_of(scored, "recommendation"), {"value": 5})) == [["value"]]


def test_no_criterion_can_be_called_recommendation(reviewer):
    body = {"name": "One", "criteria": [criterion("recommendation"), criterion("recommendations")]}
    assert error_paths(reviewer.post("/v1/rubrics", body)) == [["criteria", 0, "key"]]


def test_a_batch_submits_all_scores(reviewer, scored):
    scores = [
        {"criterion": key, "value": 3, "comment": key} for key in ("quality", "tests", "recommendation")
    ]
    card = body_of(reviewer.put(path_of(scored), {"scores": scores, "rubricVersion": 1}))
    assert card == scorecard(reviewer, scored)
    assert (card["total"], card["recommendation"]["mean"]) == (7.5, 3)
    replaced = get_criterion(card, "quality")["score"]["id"]
    scores = [{"criterion": "quality", "value": 5, "reason": "Read again.", "replaces": replaced}]
    card = body_of(reviewer.put(path_of(scored), {"scores": scores}))
    assert [score["reason"] for score in get_criterion(card, "quality")["history"]] == ["Read again.", None]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"criterion": "speed"}, ["scores", 1, "criterion"]),
        ({"criterion": "quality"}, ["scores"]),
        ({"value": 6}, ["scores", 1, "value"]),
        ({"value": "3"}, ["scores", 1, "value"]),
        ({"evidence": ["first", "elsewhere"]}, ["scores", 1, "evidence", 1]),
        ({"rubricVersion": 1}, ["scores", 1, "rubricVersion"]),
    ],
)
def test_a_batch_with_an_invalid_score_submits_none(reviewer, scored, changes, path):
    scores = [{"criterion": "quality", "value": 3}, {"criterion": "tests", "value": 3} | changes]
    assert error_paths(reviewer.put(path_of(scored), {"scores": scores})) == [path]
    assert Score.select().count() == 0


def test_a_batch_with_an_outdated_score_submits_none(reviewer, scored):
    scores = [{"criterion": "quality", "value": 3}, {"criterion": "tests", "value": 3}]
    body = {"scores": [scores[0], scores[1] | {"replaces": str(scored.id)}]}
    assert error_of(reviewer.put(path_of(scored), body)) == (409, "score_changed")
    response = reviewer.put(path_of(scored), {"scores": scores, "rubricVersion": 2})
    assert error_of(response) == (409, "rubric_changed")
    assert Score.select().count() == 0


@pytest.mark.parametrize("unknown", ["speed", "QUALITY", "quality%00", "x" * 300])
def test_unknown_criteria_are_not_found(reviewer, scored, unknown):
    assert error_of(reviewer.put(path_of(scored, unknown), {"value": 1})) == (404, "not_found")
    assert Score.select().count() == 0


def test_erasure_keeps_only_values_and_prevents_scoring(reviewer, scored):
    put(reviewer, scored, "quality", 4, comment="Alice knows queues.", evidence=["first"])
    put(reviewer, scored, "tests", 1)
    privacy.erase(scored.key)
    card = scorecard(reviewer, scored)
    assert card["total"] == 8.5
    score = get_criterion(card, "quality")["score"]
    assert (score["value"], score["comment"], score["evidence"]) == (4, None, [])
    assert error_of(reviewer.put(path_of(scored, "quality"), {"value": 1})) == (409, "erased")
