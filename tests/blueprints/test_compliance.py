"""An assessment's compliance report."""

import csv
import io
from datetime import timedelta

import pytest
from callers import Caller
from factories import make_assessment, make_closed_session, make_key, make_person, make_rubric, make_session
from response_checks import body_of, error_of

from models import CandidateKey, Score, clock

LEVELS = [{"value": value, "label": f"Level {value}"} for value in (1, 2, 3, 4)]
CRITERIA = [{"key": "quality", "title": "Quality", "weight": 1, "levels": LEVELS}]


@pytest.fixture
def assessment(organization):
    return make_assessment(organization, rubric_id=make_rubric(organization, criteria=CRITERIA).id)


def report(caller, assessment):
    return body_of(caller.get(f"/v1/assessments/{assessment.id}/compliance"))["compliance"]


def decide(caller, assessment, value, decision, reason=None):
    """Score and decide about a new candidate. Returns their id."""
    session = make_closed_session(assessment)
    body_of(caller.put(f"/v1/sessions/{session.id}/scores/quality", {"value": value, "comment": "Why"}))
    body_of(caller.put(f"/v1/candidates/{session.key_id}/decision", {"decision": decision, "reason": reason}))
    return str(session.key_id)


def test_decisions_without_a_reason_name_their_author(app, organization, reviewer, assessment):
    ann = Caller.person(app, make_person(organization, "admin", name="Ann"))
    decide(ann, assessment, 2, "rejected", "No tests.")
    unreasoned = decide(ann, assessment, 2, "rejected")
    erased = decide(ann, assessment, 4, "hired")
    body_of(reviewer.delete(f"/v1/candidates/{erased}/data"))
    result = report(reviewer, assessment)
    assert result["decisions"] == {"undecided": 0, "advanced": 0, "rejected": 2, "hired": 1}
    (row,) = result["withoutReason"]
    assert (row["candidateId"], row["decision"], row["decidedBy"]) == (unreasoned, "rejected", "Ann")
    assert result["erasures"]["done"] == 1


def test_rejected_candidates_with_a_higher_total_are_inconsistent(reviewer, assessment):
    rejected = decide(reviewer, assessment, 3, "rejected", "Slow.")
    selected = decide(reviewer, assessment, 2, "advanced", "Fast.")
    decide(reviewer, assessment, 3, "hired", "Best.")
    expected = {"rejectedId": rejected, "rejectedShare": 0.75, "selectedId": selected, "selectedShare": 0.5}
    assert report(reviewer, assessment)["inconsistencies"] == [expected]


def test_scores_after_seeing_others_are_counted(reviewer, assessment):
    decide(reviewer, assessment, 3, "rejected", "Slow.")
    decide(reviewer, assessment, 3, "rejected", "Slow.")
    Score.select().first().record_change("updated", independent=False)
    assert report(reviewer, assessment)["scores"] == {"independent": 1, "notIndependent": 1}


def test_access_is_counted_by_actor_and_operation(app, organization, reviewer, assessment):
    ann = Caller.person(app, make_person(organization, "admin", name="Ann"))
    session = make_session(make_key(assessment))
    for _ in range(2):
        body_of(ann.get(f"/v1/sessions/{session.id}"))
    body_of(ann.get(f"/v1/candidates/{session.key_id}"))
    body_of(ann.get(f"/v1/sessions/{make_session(make_key(make_assessment(organization))).id}"))
    rows = [row for row in report(reviewer, assessment)["access"] if row["actorName"] == "Ann"]
    counts = {(row["actorKind"], row["action"]): row["count"] for row in rows}
    assert counts == {("person", "getSession"): 2, ("person", "getCandidate"): 1}
    assert rows[0]["lastAt"]


def test_access_includes_notes_and_assignments(app, organization, reviewer, assessment):
    ann = Caller.person(app, make_person(organization, "admin", name="Ann"))
    session = make_closed_session(assessment)
    note = body_of(ann.post(f"/v1/sessions/{session.id}/notes", {"text": "Ask about it."}), 201)["note"]
    body_of(ann.delete(f"/v1/sessions/{session.id}/notes/{note['id']}"))
    person_ids = [str(make_person(organization).id)]
    path = f"/v1/assessments/{assessment.id}/assignments"
    (assignment,) = body_of(ann.post(path, {"personIds": person_ids}), 201)["assignments"]
    body_of(ann.delete(f"/v1/assignments/{assignment['id']}"))
    actions = {row["action"] for row in report(reviewer, assessment)["access"] if row["actorName"] == "Ann"}
    assert actions == {"createNote", "deleteNote", "assignSessions", "removeAssignment"}


def test_erasures_are_due_when_the_retention_period_ends(reviewer, organization, assessment):
    body_of(reviewer.patch("/v1/org/settings", {"retentionDays": 30}))
    make_closed_session(assessment)
    open_key = make_session(make_key(assessment)).key
    CandidateKey.update(erasure_requested_at=clock.now()).where(CandidateKey.id == open_key.id).execute()
    result = report(reviewer, assessment)
    day = (clock.now() + timedelta(days=30)).date().isoformat()
    assert result["dueErasures"] == {day: 1}
    assert result["erasures"] == {"done": 0, "requested": 1, "withoutDate": 1}
    assert (result["retentionDays"], "30 days" in result["retentionText"]) == (30, True)


def test_earlier_versions_of_the_disclosure_are_counted(app, reviewer, assessment):
    key = make_key(assessment)
    candidate = Caller.candidate(app, key)
    disclosure = body_of(candidate.get("/v1/candidate/consent"))
    body_of(
        candidate.post(
            "/v1/candidate/consent", {"key": key.key, "disclosureHash": disclosure["disclosureHash"]}
        )
    )
    agreed = report(reviewer, assessment)
    assert agreed["disclosures"] == {agreed["disclosureVersion"]: 1}
    body_of(reviewer.patch("/v1/org/settings", {"retentionDays": 30}))
    changed = report(reviewer, assessment)
    assert changed["disclosures"] == agreed["disclosures"]
    assert changed["disclosureVersion"] != agreed["disclosureVersion"]


def test_the_export_contains_the_report_without_names(reviewer, assessment):
    rejected = decide(reviewer, assessment, 3, "rejected")
    response = reviewer.get(f"/v1/assessments/{assessment.id}/compliance/export")
    rows = list(csv.reader(io.StringIO(response.text)))
    assert rows[:2] == [["Decisions"], ["Undecided", "0"]]
    start = rows.index(["Without reason"])
    assert rows[start + 1] == ["Candidate id", "Decision", "Decided at", "Decided by"]
    assert rows[start + 2][:2] == [rejected, "rejected"]
    assert "Alice" not in response.text


def test_only_admins_see_the_report(app, organization, assessment):
    person = Caller.person(app, make_person(organization, "reviewer"))
    for path in ("compliance", "compliance/export"):
        response = person.get(f"/v1/assessments/{assessment.id}/{path}")
        assert error_of(response) == (403, "insufficient_role")
