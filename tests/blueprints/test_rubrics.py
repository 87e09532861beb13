"""Scoring rubrics: form, versions, and the one in use that cannot be deleted (R2, R6, R12, R23, R24)."""

from copy import deepcopy
from datetime import timedelta

import pytest
from answers import places, refusal
from factories import make_assessment, make_rubric

from models import Rubric, RubricVersion

PATH = "/v1/rubrics"
NOWHERE = "00000000-0000-7000-8000-000000000000"
LEVELS = [{"value": 0, "label": "Weak", "description": "Guesses."}, {"value": 1, "label": "Strong"}]
CRITERION = {
    "key": "problem-solving",
    "title": "Problem solving",
    "description": "How the cause was found.",
    "weight": 2.5,
    "levels": LEVELS,
}
BODY = {"name": "Backend engineers", "criteria": [CRITERION]}


def changed(criterion=None, level=None):
    """The body with other members in its criterion or its first level; `...` leaves a member out."""
    body = deepcopy(BODY)
    for part, members in ((body["criteria"][0], criterion), (body["criteria"][0]["levels"][0], level)):
        part |= members or {}
        for name in [name for name, value in part.items() if value is ...]:
            del part[name]
    return body


# Create


def test_create_answers_the_rubric(clock, reviewer):
    answer = reviewer.post(PATH, BODY)
    assert answer.status_code == 201
    rubric = answer.json["rubric"]
    assert (
        rubric
        | {
            "name": "Backend engineers",
            "version": 1,
            "createdAt": "2026-04-01T09:00:00.000Z",
            "updatedAt": "2026-04-01T09:00:00.000Z",
        }
        == rubric
    )
    (criterion,) = rubric["criteria"]
    assert (
        criterion | {name: CRITERION[name] for name in ("key", "title", "description", "weight")} == criterion
    )
    assert [(level["value"], level["label"]) for level in criterion["levels"]] == [(0, "Weak"), (1, "Strong")]
    assert reviewer.get(f"{PATH}/{rubric['id']}").json == answer.json
    assert reviewer.get(PATH).json == {"rubrics": [rubric], "total": 1, "limit": 50, "offset": 0}


def test_a_weight_is_one_unless_given(reviewer):
    rubric = reviewer.post(PATH, changed({"weight": ...})).json["rubric"]
    assert rubric["criteria"][0]["weight"] == 1


@pytest.mark.parametrize("weight", [1, 0.001, 7, 1_000_000])
def test_any_positive_weight_is_taken(reviewer, weight):
    assert reviewer.post(PATH, changed({"weight": weight})).json["rubric"]["criteria"][0]["weight"] == weight


@pytest.mark.parametrize("wrong", [0, -1, "2", True, [1]])
def test_any_other_weight_is_refused(reviewer, wrong):
    assert places(reviewer.post(PATH, changed({"weight": wrong}))) == [["criteria", 0, "weight"]]


@pytest.mark.parametrize("count", [2, 10])
def test_a_scale_has_2_to_10_levels(reviewer, count):
    levels = [{"value": number, "label": f"Level {number}"} for number in range(count)]
    assert (
        len(reviewer.post(PATH, changed({"levels": levels})).json["rubric"]["criteria"][0]["levels"]) == count
    )


@pytest.mark.parametrize("count", [0, 1, 11])
def test_a_scale_of_fewer_or_more_is_refused(reviewer, count):
    levels = [{"value": number, "label": f"Level {number}"} for number in range(count)]
    assert places(reviewer.post(PATH, changed({"levels": levels}))) == [["criteria", 0, "levels"]]


@pytest.mark.parametrize(
    ("criterion", "member"),
    [
        ({"key": ...}, "key"), ({"key": "Problem"}, "key"), ({"key": "1st"}, "key"), ({"key": "a" * 64}, "key"),
        ({"key": "a\n"}, "key"), ({"title": ...}, "title"), ({"title": " "}, "title"), ({"levels": ...}, "levels"),
        ({"levels": [LEVELS[0]] * 2}, "levels"), ({"description": 7}, "description"),
    ],
)  # fmt: skip
def test_a_criterion_has_its_form(reviewer, criterion, member):
    assert places(reviewer.post(PATH, changed(criterion))) == [["criteria", 0, member]]


@pytest.mark.parametrize(
    ("level", "member"),
    [
        ({"value": ...}, "value"),
        ({"value": 1.5}, "value"),
        ({"value": -1}, "value"),
        ({"label": ...}, "label"),
    ],
)
def test_a_level_has_its_form(reviewer, level, member):
    assert places(reviewer.post(PATH, changed(level=level))) == [["criteria", 0, "levels", 0, member]]


@pytest.mark.parametrize("wrong", [..., None, "", " ", "x" * 256, 7])
def test_a_name_is_required(reviewer, wrong):
    body = {name: value for name, value in (BODY | {"name": wrong}).items() if value is not ...}
    assert places(reviewer.post(PATH, body)) == [["name"]]


@pytest.mark.parametrize("wrong", [..., None, [], [CRITERION] * 2, "x"])
def test_criteria_are_required_and_have_different_keys(reviewer, wrong):
    body = {name: value for name, value in (BODY | {"criteria": wrong}).items() if value is not ...}
    assert places(reviewer.post(PATH, body)) == [["criteria"]]


# Change


def test_a_change_is_the_next_version(clock, reviewer, organization):
    rubric = make_rubric(organization, name="Before")
    clock.fixed += timedelta(hours=1)
    answer = reviewer.patch(f"{PATH}/{rubric.id}", {"name": "After"})
    assert answer.status_code == 200
    shown = answer.json["rubric"]
    assert (shown["name"], shown["version"]) == ("After", 2)
    assert (shown["createdAt"], shown["updatedAt"]) == (
        "2026-04-01T09:00:00.000Z",
        "2026-04-01T10:00:00.000Z",
    )
    assert [criterion["key"] for criterion in shown["criteria"]] == ["quality"]
    assert reviewer.get(f"{PATH}/{rubric.id}").json == answer.json


def test_the_earlier_versions_stay_as_they_were(reviewer, organization):
    rubric = make_rubric(organization, name="Before")
    reviewer.patch(f"{PATH}/{rubric.id}", BODY)
    before, after = RubricVersion.select().order_by(RubricVersion.number)
    assert (before.number, before.name, before.criteria[0]["key"]) == (1, "Before", "quality")
    assert (after.number, after.name, after.criteria[0]["key"]) == (2, "Backend engineers", "problem-solving")


def test_a_rubric_in_use_can_be_changed(reviewer, organization):
    rubric = make_rubric(organization)
    make_assessment(organization, rubric_id=rubric.id)
    assert reviewer.patch(f"{PATH}/{rubric.id}", BODY).json["rubric"]["version"] == 2


@pytest.mark.parametrize("body", [{"name": ""}, {"criteria": []}, {"name": None}, {"criteria": None}])
def test_a_wrong_change_is_refused(reviewer, organization, body):
    rubric = make_rubric(organization)
    assert places(reviewer.patch(f"{PATH}/{rubric.id}", body)) == [[name] for name in body]
    assert Rubric.get().version == 1


# Delete


def test_delete_takes_a_rubric_out_of_sight(reviewer, organization):
    rubric = make_rubric(organization)
    answer = reviewer.delete(f"{PATH}/{rubric.id}")
    assert (answer.status_code, answer.json) == (200, {"ok": True, "id": str(rubric.id)})
    assert reviewer.get(PATH).json["total"] == 0
    assert refusal(reviewer.get(f"{PATH}/{rubric.id}")) == (404, "not_found")
    assert refusal(reviewer.delete(f"{PATH}/{rubric.id}")) == (404, "not_found")


def test_a_rubric_in_use_is_not_deleted(reviewer, organization):
    rubric = make_rubric(organization)
    users = [make_assessment(organization, title=title, rubric_id=rubric.id) for title in ("First", "Second")]
    answer = reviewer.delete(f"{PATH}/{rubric.id}")
    assert refusal(answer) == (409, "rubric_in_use")
    assert answer.json["assessments"] == [{"id": str(user.id), "title": user.title} for user in users]
    assert reviewer.get(f"{PATH}/{rubric.id}").status_code == 200


def test_a_deleted_assessment_uses_no_rubric(reviewer, organization):
    rubric = make_rubric(organization)
    make_assessment(organization, rubric_id=rubric.id).delete_softly()
    assert reviewer.delete(f"{PATH}/{rubric.id}").status_code == 200


# Whose


def test_a_neighbours_rubric_is_404(neighbour, organization):
    rubric = make_rubric(organization)
    for wrong in (rubric.id, NOWHERE, "nonsense"):
        for answer in (
            neighbour.get(f"{PATH}/{wrong}"),
            neighbour.patch(f"{PATH}/{wrong}", BODY),
            neighbour.delete(f"{PATH}/{wrong}"),
        ):
            assert refusal(answer) == (404, "not_found")
    assert neighbour.get(PATH).json["total"] == 0


def test_pages_in_the_order_of_creation(reviewer, organization):
    rubrics = [make_rubric(organization, name=f"Rubric {number}") for number in range(5)]
    page = reviewer.get(PATH, limit=2, offset=3).json
    assert [found["id"] for found in page["rubrics"]] == [str(rubric.id) for rubric in rubrics[3:]]
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 3)
