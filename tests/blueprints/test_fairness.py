"""Selection rates of groups of an assessment's candidates, which are not stored."""

import pytest
from factories import make_assessment, make_key, make_keys
from hostile.world import snapshot
from response_checks import error_of

from models import CandidateKey, invitations

NOWHERE = "00000000-0000-7000-8000-000000000000"


def compare(reviewer, assessment, groups):
    return reviewer.post(f"/v1/assessments/{assessment.id}/fairness", {"groups": groups})


@pytest.fixture
def keys(reviewer, assessment):
    """Twelve candidates; the first ten are decided, of which five are selected."""
    keys = make_keys(assessment, 12)
    for number, key in enumerate(keys[:10]):
        invitations.decide(key, reviewer.row, "advanced" if number < 5 else "rejected", None)
        CandidateKey.update(external_id=f"applicant-{number}").where(CandidateKey.id == key.id).execute()
    return keys


def test_groups_are_compared_by_id_and_external_id(reviewer, reader, assessment, keys):
    # Four of the first five are selected, one of the next five.
    groups = {str(key.id).upper(): "Oak" for key in keys[:4]} | {"applicant-9": "Oak"}
    groups |= {f"applicant-{number}": "Elm" for number in range(4, 9)} | {str(keys[11].id): "Elm"}
    response = compare(reader, assessment, groups)
    assert response.status_code == 200, response.json
    assert response.json == {
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


def test_small_groups_are_suppressed_and_candidates_without_a_group_counted(reviewer, assessment, keys):
    groups = {str(key.id): "Oak" if number < 5 else "Elm" for number, key in enumerate(keys[:9])}
    report = compare(reviewer, assessment, groups).json
    assert report == {"groups": [], "suppressed": ["Elm", "Oak"], "unknown": 1}


def test_decisions_about_erased_candidates_count(reviewer, assessment, keys):
    for key in keys[:2]:
        reviewer.delete(f"/v1/candidates/{key.id}/data")
    report = compare(reviewer, assessment, {str(key.id): "Oak" for key in keys}).json
    assert (report["groups"][0]["decided"], report["groups"][0]["selected"]) == (10, 5)


def test_nothing_about_the_groups_is_stored(reviewer, assessment, keys):
    before = snapshot()
    headers = {"Idempotency-Key": "one"}
    body = {"groups": {str(key.id): "Quebracho" for key in keys}}
    path = f"/v1/assessments/{assessment.id}/fairness"
    assert "Quebracho" in reviewer.request("POST", path, headers=headers, json=body).text
    changed = {table: rows for table, rows in snapshot().items() if rows != before[table]}
    assert changed.keys() <= {"audit_entries", "api_tokens"}
    assert "Quebracho" not in str(changed)


def test_unknown_and_ambiguous_candidates_are_named(reviewer, organization, assessment, keys):
    CandidateKey.update(external_id="twin").where(CandidateKey.id.in_([keys[10].id, keys[11].id])).execute()
    other = make_key(make_assessment(organization))
    groups = {str(other.id): "Oak", "who": "Oak", "twin": "Oak", "applicant-1": "Oak", str(keys[1].id): "Elm"}
    response = compare(reviewer, assessment, groups)
    assert error_of(response) == (400, "invalid_request")
    assert {tuple(detail["path"]): detail["message"] for detail in response.json["details"]} == {
        ("groups", str(other.id)): "No such candidate in this assessment.",
        ("groups", "who"): "No such candidate in this assessment.",
        ("groups", "twin"): "Several candidates have this externalId. Use their ids.",
        ("groups", str(keys[1].id)): "This candidate is in several groups.",
    }


@pytest.mark.parametrize(
    "groups",
    [None, [], "Oak", {"x": None}, {"x": ""}, {"": "Oak"}, {"x": 1}, {str(n): str(n) for n in range(101)}],
)
def test_invalid_groups_are_rejected(reviewer, assessment, groups):
    assert error_of(compare(reviewer, assessment, groups)) == (400, "invalid_request")
