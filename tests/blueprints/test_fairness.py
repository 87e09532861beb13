"""Selection rates by candidate group."""

import pytest
from factories import make_assessment, make_key, make_keys
from hostile.world import snapshot
from response_checks import body_of, error_of, error_paths

from models import CandidateKey, invitations


def compare(reviewer, assessment, groups):
    return reviewer.post(f"/v1/assessments/{assessment.id}/fairness", {"groups": groups})


@pytest.fixture
def keys(reviewer, assessment):
    """Twelve candidates: five selected, five rejected, and two undecided."""
    keys = make_keys(assessment, 12)
    for number, key in enumerate(keys[:10]):
        invitations.decide(key, reviewer.row, "advanced" if number < 5 else "rejected", None)
        CandidateKey.update(external_id=f"applicant-{number}").where(CandidateKey.id == key.id).execute()
    return keys


def test_candidates_are_identified_by_id_or_external_id(reviewer, reader, assessment, keys):
    # Four of the first five are selected, one of the next five.
    groups = {str(key.id).upper(): "Oak" for key in keys[:4]} | {"applicant-9": "Oak"}
    groups |= {f"applicant-{number}": "Elm" for number in range(4, 9)} | {str(keys[11].id): "Elm"}
    assert body_of(compare(reader, assessment, groups)) == {
        "groups": [
            {
                "group": "Elm", "decided": 5, "selected": 1, "rate": 0.2, "impactRatio": 0.25,
                "belowFourFifths": True, "pValue": 0.206349,
            },
            {
                "group": "Oak", "decided": 5, "selected": 4, "rate": 0.8, "impactRatio": 1.0,
                "belowFourFifths": False, "pValue": None,
            },
        ],
        "suppressed": [],
        "unknown": 0,
    }  # fmt: skip


def test_small_groups_are_suppressed_and_ungrouped_candidates_are_counted(reviewer, assessment, keys):
    groups = {str(key.id): "Oak" if number < 5 else "Elm" for number, key in enumerate(keys[:9])}
    report = compare(reviewer, assessment, groups).json
    assert report == {"groups": [], "suppressed": ["Elm", "Oak"], "unknown": 1}


def test_erased_candidates_still_count(reviewer, assessment, keys):
    for key in keys[:2]:
        reviewer.delete(f"/v1/candidates/{key.id}/data")
    report = compare(reviewer, assessment, {str(key.id): "Oak" for key in keys}).json
    assert (report["groups"][0]["decided"], report["groups"][0]["selected"]) == (10, 5)


def test_groups_are_not_stored(reviewer, assessment, keys):
    before = snapshot()
    headers = {"Idempotency-Key": "one"}
    body = {"groups": {str(key.id): "Quebracho" for key in keys}}
    path = f"/v1/assessments/{assessment.id}/fairness"
    assert "Quebracho" in reviewer.request("POST", path, headers=headers, json=body).text
    changes = {table: rows for table, rows in snapshot().items() if rows != before[table]}
    assert changes.keys() <= {"audit_entries", "api_tokens"}
    assert "Quebracho" not in str(changes)


def test_unknown_and_ambiguous_candidates_are_reported(reviewer, organization, assessment, keys):
    CandidateKey.update(external_id="twin").where(CandidateKey.id.in_([keys[10].id, keys[11].id])).execute()
    other = make_key(make_assessment(organization))
    groups = {
        str(other.id): "Oak",
        "unknown": "Oak",
        "twin": "Oak",
        "applicant-1": "Oak",
        str(keys[1].id): "Elm",
    }
    response = compare(reviewer, assessment, groups)
    assert error_of(response) == (400, "invalid_request")
    assert {tuple(detail["path"]): detail["message"] for detail in response.json["details"]} == {
        ("groups", str(other.id)): "No such candidate in this assessment.",
        ("groups", "unknown"): "No such candidate in this assessment.",
        ("groups", "twin"): "Several candidates have this externalId. Use their ids.",
        ("groups", str(keys[1].id)): "This candidate is in several groups.",
    }


@pytest.mark.parametrize(
    "groups",
    [None, [], "Oak", {"x": None}, {"x": ""}, {"": "Oak"}, {"x": 1}, {str(n): str(n) for n in range(101)}],
)
def test_invalid_groups_are_rejected(reviewer, assessment, groups):
    assert error_of(compare(reviewer, assessment, groups)) == (400, "invalid_request")


def test_an_invalid_group_is_named(reviewer, assessment):
    assert error_paths(compare(reviewer, assessment, {"x": 1})) == [["groups", "x"]]
