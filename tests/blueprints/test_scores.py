"""Scores: by the rubric's current version, with evidence and a history, and a total of one version (R2, R5)."""

from datetime import timedelta

import pytest
from answers import places, refusal
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_key,
    make_rubric,
    make_session,
)

from models import CandidateKey, Score, privacy

NOWHERE = "00000000-0000-7000-8000-000000000000"


def criterion(key, weight=1, values=(1, 3, 5)):
    levels = [{"value": value, "label": f"Level {value}"} for value in values]
    return {"key": key, "title": key.title(), "weight": weight, "levels": levels}


@pytest.fixture
def rubric(organization):
    return make_rubric(organization, criteria=[criterion("quality", 2), criterion("tests", 0.5)])


@pytest.fixture
def scored(organization, rubric):
    """A session of an assessment with a rubric."""
    return make_closed_session(
        make_assessment(organization, rubric_id=rubric.id), envelope() | {"id": "first"}
    )


def path(session, key=""):
    return f"/v1/sessions/{session.id}/scores" + (f"/{key}" if key else "")


def put(caller, session, key, value, **body):
    answer = caller.put(path(session, key), {"value": value} | body)
    assert answer.status_code == 200, answer.json
    return answer.json["score"]


def sheet(caller, session, **query):
    answer = caller.get(path(session), **query)
    assert answer.status_code == 200, answer.json
    return answer.json


def of(shown, key):
    (found,) = [one for one in shown["criteria"] if one["key"] == key]
    return found


# What is shown


def test_before_the_first_score_the_sheet_shows_the_criteria(reviewer, scored, rubric):
    shown = sheet(reviewer, scored)
    assert {name: shown[name] for name in shown if name != "criteria"} == {
        "rubricId": str(rubric.id),
        "rubricName": "Engineers",
        "rubricVersion": 1,
        "currentRubricVersion": 1,
        "total": None,
        "lowestTotal": 2.5,
        "highestTotal": 12.5,
    }
    assert [(one["key"], one["weight"], one["lowest"], one["highest"]) for one in shown["criteria"]] == [
        ("quality", 2, 1, 5),
        ("tests", 0.5, 1, 5),
    ]
    assert [(one["score"], one["history"]) for one in shown["criteria"]] == [(None, []), (None, [])]


def test_a_score_is_shown_as_it_was_given(clock, reviewer, scored):
    score = put(reviewer, scored, "quality", 4, comment=" Found it by reading. ", evidence=["first"])
    assert score == {
        "id": score["id"],
        "criterion": "quality",
        "rubricVersion": 1,
        "value": 4,
        "comment": "Found it by reading.",
        "evidence": ["first"],
        "reviewer": {"id": str(reviewer.row.id), "name": reviewer.row.name},
        "createdAt": "2026-04-01T09:00:00.000Z",
    }
    assert of(sheet(reviewer, scored), "quality")["score"] == score


def test_comment_and_evidence_can_be_left_out(reviewer, scored):
    score = put(reviewer, scored, "quality", 1)
    assert (score["comment"], score["evidence"]) == (None, [])


def test_the_total_waits_for_every_criterion(reviewer, scored):
    put(reviewer, scored, "quality", 4)
    assert sheet(reviewer, scored)["total"] is None
    put(reviewer, scored, "tests", 3)
    assert sheet(reviewer, scored)["total"] == 9.5


def test_an_open_session_can_be_scored(reviewer, organization, rubric):
    session = make_session(make_key(make_assessment(organization, rubric_id=rubric.id)))
    assert put(reviewer, session, "quality", 2)["value"] == 2


# History


def test_the_latest_score_counts_and_the_earlier_ones_stay(clock, app, organization, reviewer, scored):
    other = Caller.reviewer(app, organization)
    for caller, value in ((reviewer, 2), (other, 5), (reviewer, 3)):
        clock.fixed += timedelta(minutes=1)
        put(caller, scored, "quality", value)
    shown = of(sheet(reviewer, scored), "quality")
    assert shown["score"]["value"] == 3
    assert [(one["value"], one["reviewer"]["id"]) for one in shown["history"]] == [
        (3, str(reviewer.row.id)),
        (5, str(other.row.id)),
        (2, str(reviewer.row.id)),
    ]


def test_the_score_that_counts_given_once_more_changes_nothing(reviewer, scored):
    body = {"comment": "Why", "evidence": ["first"]}
    assert put(reviewer, scored, "quality", 2, **body) == put(reviewer, scored, "quality", 2, **body)
    assert Score.select().count() == 1


# A total is of one version


def test_a_change_of_the_rubric_moves_no_total(reviewer, scored, rubric):
    put(reviewer, scored, "quality", 4)
    put(reviewer, scored, "tests", 3)
    rubric.change({"criteria": [criterion("quality", 100)]})
    shown = sheet(reviewer, scored)
    assert (shown["rubricVersion"], shown["currentRubricVersion"], shown["total"]) == (1, 2, 9.5)


def test_a_score_in_a_new_version_begins_a_new_sheet(reviewer, scored, rubric):
    put(reviewer, scored, "quality", 4)
    put(reviewer, scored, "tests", 3)
    rubric.change({"criteria": [criterion("quality", 10), criterion("speed", 1)]})
    put(reviewer, scored, "speed", 5)
    shown = sheet(reviewer, scored)
    assert (shown["rubricVersion"], shown["total"]) == (2, None)
    assert of(shown, "quality")["score"] is None
    assert [(one["value"], one["rubricVersion"]) for one in of(shown, "quality")["history"]] == [(4, 1)]
    put(reviewer, scored, "quality", 2)
    assert sheet(reviewer, scored)["total"] == 25
    assert sheet(reviewer, scored, version=1)["total"] == 9.5


def test_scores_are_given_in_the_current_version(reviewer, scored, rubric):
    rubric.change({"criteria": [criterion("speed", values=(0, 10))]})
    assert refusal(reviewer.put(path(scored, "quality"), {"value": 1})) == (404, "not_found")
    assert put(reviewer, scored, "speed", 0)["rubricVersion"] == 2


@pytest.mark.parametrize("version", [2, 2**31 - 1])
def test_a_version_that_never_was_is_404(reviewer, scored, version):
    assert refusal(reviewer.get(path(scored), version=version)) == (404, "not_found")


@pytest.mark.parametrize("wrong", [0, -1, "x", 2**31])
def test_a_version_is_a_number_from_1(reviewer, scored, wrong):
    assert places(reviewer.get(path(scored), version=wrong)) == [["version"]]


# Refusals


@pytest.mark.parametrize("value", [1, 2, 5])
def test_every_whole_number_of_the_scale_is_taken(reviewer, scored, value):
    assert put(reviewer, scored, "quality", value)["value"] == value


@pytest.mark.parametrize("wrong", [0, 6, 1000, -1, 1001, 2.0, "2", True, None, [1]])
def test_any_other_value_is_refused(reviewer, scored, wrong):
    assert places(reviewer.put(path(scored, "quality"), {"value": wrong})) == [["value"]]
    assert places(reviewer.put(path(scored, "quality"), {})) == [["value"]]
    assert Score.select().count() == 0


def test_evidence_names_events_of_the_session(reviewer, organization, scored):
    elsewhere = make_closed_session(make_assessment(organization), envelope() | {"id": "elsewhere"})
    assert elsewhere.id != scored.id
    body = {"value": 1, "evidence": ["first", "elsewhere"]}
    assert places(reviewer.put(path(scored, "quality"), body)) == [["evidence", 1]]
    assert Score.select().count() == 0


@pytest.mark.parametrize("wrong", [["first"] * 101, "first", [1], [""], [None]])
def test_evidence_is_a_list_of_at_most_100_ids(reviewer, scored, wrong):
    assert places(reviewer.put(path(scored, "quality"), {"value": 1, "evidence": wrong}))[0][0] == "evidence"


@pytest.mark.parametrize("wrong", ["", " ", "x" * 5001, 1])
def test_a_comment_is_a_text(reviewer, scored, wrong):
    assert places(reviewer.put(path(scored, "quality"), {"value": 1, "comment": wrong})) == [["comment"]]


def test_without_a_rubric_there_is_nothing_to_score_by(reviewer, session):
    assert refusal(reviewer.get(path(session))) == (409, "no_rubric")
    assert refusal(reviewer.put(path(session, "quality"), {"value": 1})) == (409, "no_rubric")


@pytest.mark.parametrize("wrong", ["speed", "QUALITY", "quality%00", "x" * 300])
def test_an_unknown_criterion_is_404(reviewer, scored, wrong):
    assert refusal(reviewer.put(path(scored, wrong), {"value": 1})) == (404, "not_found")
    assert Score.select().count() == 0


def test_a_neighbours_session_is_404(neighbour, scored):
    assert refusal(neighbour.get(path(scored))) == (404, "not_found")
    assert refusal(neighbour.put(path(scored, "quality"), {"value": 1})) == (404, "not_found")


def test_a_candidate_never_sees_a_score(app, scored):
    candidate = Caller.candidate(app, CandidateKey.get_by_id(scored.key_id))
    assert refusal(candidate.get(path(scored))) == (401, "unauthorized")


def test_a_reviewer_who_may_only_read_gives_no_score(reader, scored):
    assert sheet(reader, scored)["total"] is None
    assert refusal(reader.put(path(scored, "quality"), {"value": 1})) == (403, "insufficient_scope")


# After an erasure


def test_an_erasure_leaves_the_values_and_nothing_that_was_written(reviewer, scored):
    put(reviewer, scored, "quality", 4, comment="Alice knows queues.", evidence=["first"])
    put(reviewer, scored, "tests", 1)
    privacy.erase(CandidateKey.get_by_id(scored.key_id))
    shown = sheet(reviewer, scored)
    assert shown["total"] == 8.5
    score = of(shown, "quality")["score"]
    assert (score["value"], score["comment"], score["evidence"]) == (4, None, [])


def test_who_was_erased_is_scored_no_more(reviewer, scored):
    privacy.erase(CandidateKey.get_by_id(scored.key_id))
    assert refusal(reviewer.put(path(scored, "quality"), {"value": 1})) == (409, "erased")


def test_late_events_are_evidence_too(clock, reviewer, scored):
    clock.fixed += timedelta(hours=1)
    assert add_event(scored, envelope() | {"id": "late"}) == "late"
    assert put(reviewer, scored, "quality", 1, evidence=["late"])["evidence"] == ["late"]
