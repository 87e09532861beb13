"""Warnings about a hiring decision, without hidden scores (R49)."""

import pytest
from callers import Caller
from factories import make_assessment, make_key, make_person, make_rubric, make_session
from response_checks import body_of, error_of

from models import CandidateKey, Session


@pytest.fixture
def sessions(organization):
    """Three sessions with totals of 8, 4 and 6 of 8; the second was advanced."""
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    sessions = [make_session(make_key(assessment)) for _ in range(3)]
    for session, total in zip(sessions, (8000, 4000, 6000), strict=True):
        session.update_columns(score_total=total, score_highest=8000)
    CandidateKey.get_by_id(sessions[1].key_id).update_columns(decision="advanced")
    return sessions


def warnings(caller, session, decision="rejected"):
    return body_of(caller.get(f"/v1/candidates/{session.key_id}/decision-warnings", decision=decision))


def codes(caller, session, decision="rejected"):
    return [warning["code"] for warning in warnings(caller, session, decision)["warnings"]]


def test_a_rejection_above_an_advanced_candidate_is_a_warning(reviewer, sessions):
    first, second, third = sessions
    assert warnings(reviewer, first) == {
        "warnings": [
            {
                "code": "lower_total",
                "message": "Candidates advanced or hired with a lower total: 1.",
                "sessionIds": [str(second.id)],
            }
        ],
    }
    assert codes(reviewer, first, "advanced") == codes(reviewer, second) == []
    CandidateKey.get_by_id(third.key_id).update_columns(decision="rejected")
    assert codes(reviewer, second, "hired") == ["lower_total"]
    assert error_of(reviewer.get(f"/v1/candidates/{first.key_id}/decision-warnings"))[0] == 400


def test_hidden_totals_give_no_warning(app, reader, organization, sessions):
    person = Caller.person(app, make_person(organization, "reviewer"))
    assert warnings(person, sessions[0])["warnings"] == [
        {"code": "missing_scores", "message": "You have not scored every criterion."}
    ]
    assert codes(reader, sessions[0]) == ["lower_total"]


def test_nobody_must_score_without_a_rubric(app, organization):
    session = make_session(make_key(make_assessment(organization)))
    person = Caller.person(app, make_person(organization, "reviewer"))
    assert codes(person, session) == []


@pytest.mark.bypasses_ledger
def test_findings_that_change_results_need_a_second_reason(reviewer, sessions):
    """Altered after the worker's check, which found nothing."""
    Session.update(integrity_codes=[], tests_passed_count=9, score_total=None).execute()
    found = warnings(reviewer, sessions[0])
    assert [warning["code"] for warning in found["warnings"]] == ["missing_scores", "results_changed"]
    path = f"/v1/candidates/{sessions[0].key_id}"
    reasons = {"reason": "No tests.", "findingReason": "Reproduced without the recording."}
    candidate = body_of(reviewer.put(f"{path}/decision", {"decision": "rejected"} | reasons))["candidate"]
    assert candidate["decisionFindingReason"] == reasons["findingReason"]
    session = body_of(reviewer.get(f"/v1/sessions/{sessions[0].id}"))
    assert session["decisionFindingReason"] == reasons["findingReason"]
    assert codes(reviewer, sessions[0], "undecided") == []
