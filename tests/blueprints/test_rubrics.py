"""Scoring rubrics: criteria, versions and deletion (R2, R6, R12, R23, R24)."""

from datetime import timedelta

import pytest
from factories import make_assessment, make_rubric
from response_checks import body_of, error_of, error_paths

import errors
from models import Rubric, RubricVersion

PATH = "/v1/rubrics"
LEVELS = [{"value": 0, "label": "Weak", "description": "Guesses."}, {"value": 1, "label": "Strong"}]
CRITERION = {
    "key": "problem-solving",
    "title": "Problem solving",
    "description": "How the cause was found.",
    "weight": 2.5,
    "levels": LEVELS,
}
BODY = {"name": "Backend engineers", "criteria": [CRITERION]}


def apply(fields, changes):
    """Apply the changes, omitting fields set to `...`."""
    return {name: value for name, value in (fields | changes).items() if value is not ...}


def post_criterion(reviewer, **changes):
    return reviewer.post(PATH, BODY | {"criteria": [apply(CRITERION, changes)]})


def levels(count):
    return [{"value": number, "label": f"Level {number}"} for number in range(count)]


def test_create_returns_the_rubric(clock, reviewer):
    rubric = body_of(reviewer.post(PATH, BODY), 201)["rubric"]
    times = dict.fromkeys(("createdAt", "updatedAt"), "2026-04-01T09:00:00.000Z")
    assert rubric == BODY | times | {"id": rubric["id"], "version": 1}
    assert reviewer.get(f"{PATH}/{rubric['id']}").json == {"rubric": rubric}
    page = {"next": None, "total": 1, "limit": 50, "offset": 0}
    assert reviewer.get(PATH).json == {"rubrics": [rubric]} | page


def test_weights_are_positive_and_default_to_1(reviewer):
    for weight, stored in ((..., 1), (1, 1), (0.001, 0.001), (1_000_000, 1_000_000)):
        assert post_criterion(reviewer, weight=weight).json["rubric"]["criteria"][0]["weight"] == stored


def test_scales_have_2_to_10_levels(reviewer):
    for count in (2, 10):
        (criterion,) = post_criterion(reviewer, levels=levels(count)).json["rubric"]["criteria"]
        assert len(criterion["levels"]) == count


@pytest.mark.parametrize(
    ("field", "invalid"),
    [
        *(("weight", weight) for weight in (0, -1, 1_000_001, "2", True, [1])),
        *(("levels", scale) for scale in (..., [], levels(1), levels(11), [LEVELS[0]] * 2)),
        *(("key", key) for key in (..., "Problem", "1st", "a" * 64, "a\n")),
        *(("title", title) for title in (..., " ")), ("description", 7),
    ],
)  # fmt: skip
def test_invalid_criteria_are_rejected(reviewer, field, invalid):
    assert error_paths(post_criterion(reviewer, **{field: invalid})) == [["criteria", 0, field]]


@pytest.mark.parametrize(
    ("field", "invalid"), [("value", ...), ("value", 1.5), ("value", -1), ("label", ...)]
)
def test_invalid_levels_are_rejected(reviewer, field, invalid):
    scale = [apply(LEVELS[0], {field: invalid}), LEVELS[1]]
    assert error_paths(post_criterion(reviewer, levels=scale)) == [["criteria", 0, "levels", 0, field]]


@pytest.mark.parametrize(
    ("field", "invalid"),
    [
        *(("name", name) for name in (..., None, "", " ", "x" * 256, 7)),
        *(("criteria", criteria) for criteria in (..., None, [], [CRITERION] * 2, "x")),
    ],
)
def test_name_and_criteria_are_required(reviewer, organization, field, invalid):
    assert error_paths(reviewer.post(PATH, apply(BODY, {field: invalid}))) == [[field]]
    if invalid is not ...:
        rubric = make_rubric(organization)
        assert error_paths(reviewer.patch(f"{PATH}/{rubric.id}", {field: invalid})) == [[field]]
        assert Rubric.get().version == 1


def test_an_update_creates_a_version_even_if_the_rubric_is_in_use(clock, reviewer, organization):
    rubric = make_rubric(organization, name="Before")
    make_assessment(organization, rubric_id=rubric.id)
    clock.fixed += timedelta(hours=1)
    after = body_of(reviewer.patch(f"{PATH}/{rubric.id}", {"name": "After"}))["rubric"]
    assert (after["name"], after["version"]) == ("After", 2)
    assert (after["createdAt"][11:13], after["updatedAt"][11:13]) == ("09", "10")
    assert reviewer.get(f"{PATH}/{rubric.id}").json == {"rubric": after}
    # Unchanged values do not create a version.
    for unchanged in ({}, {"name": "After"}, after, {"criteria": after["criteria"]}):
        assert reviewer.patch(f"{PATH}/{rubric.id}", unchanged).json == {"rubric": after}
    reviewer.patch(f"{PATH}/{rubric.id}", BODY)
    versions = RubricVersion.select().order_by(RubricVersion.number)
    assert [(version.number, version.name, version.criteria[0]["key"]) for version in versions] == [
        (1, "Before", "quality"),
        (2, "After", "quality"),
        (3, "Backend engineers", "problem-solving"),
    ]


def test_a_deleted_rubric_is_not_found(reviewer, organization):
    rubric = make_rubric(organization)
    assert body_of(reviewer.delete(f"{PATH}/{rubric.id}")) == {"ok": True, "id": str(rubric.id)}
    assert reviewer.get(PATH).json["total"] == 0
    for response in (reviewer.get(f"{PATH}/{rubric.id}"), reviewer.delete(f"{PATH}/{rubric.id}")):
        assert error_of(response) == (404, "not_found")


def test_a_rubric_deleted_during_a_change_is_not_found(reviewer, organization):
    rubric = make_rubric(organization)
    Rubric.get_by_id(rubric.id).soft_delete()
    with pytest.raises(errors.NotFound):
        rubric.apply_changes({"name": "Renamed"})
    assert Rubric.get_by_id(rubric.id).version == 1


def test_a_rubric_in_use_cannot_be_deleted(reviewer, organization):
    rubric = make_rubric(organization)
    assessments = [
        make_assessment(organization, title=title, rubric_id=rubric.id) for title in ("First", "Second")
    ]
    response = reviewer.delete(f"{PATH}/{rubric.id}")
    assert error_of(response) == (409, "rubric_in_use")
    assert response.json["assessments"] == [{"id": str(row.id), "title": row.title} for row in assessments]
    assert reviewer.get(f"{PATH}/{rubric.id}").status_code == 200
    for assessment in assessments:
        assessment.soft_delete()
    assert reviewer.delete(f"{PATH}/{rubric.id}").status_code == 200
