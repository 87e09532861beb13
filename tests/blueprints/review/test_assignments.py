"""Assignments of sessions to reviewers."""

from datetime import timedelta

import pytest
from callers import Caller
from factories import make_assessment, make_closed_session, make_key, make_person, make_rubric, make_session
from response_checks import body_of, error_of, error_paths

from models import Assignment, Delivery, clock, invitations, privacy, users
from rules.timestamps import format_timestamp


@pytest.fixture
def assessment(organization):
    return make_assessment(organization, rubric_id=make_rubric(organization).id)


@pytest.fixture
def path(assessment):
    return f"/v1/assessments/{assessment.id}/assignments"


@pytest.fixture
def people(organization):
    return [make_person(organization, name=name) for name in ("Ann", "Bob")]


def ids(rows):
    return [str(row.id) for row in rows]


def assign(reviewer, path, people, **options):
    return body_of(reviewer.post(path, {"personIds": ids(people)} | options), 201)["assignments"]


def listed(caller, path):
    return {(row["personName"], row["sessionId"]) for row in body_of(caller.get(path))["assignments"]}


def to_score(app, person):
    return body_of(Caller.person(app, person).get("/v1/todo"))["unscored"]


def test_closed_sessions_without_a_decision_are_assigned_evenly(reviewer, path, people, assessment):
    sessions = [make_closed_session(assessment) for _ in range(4)]
    decided = make_closed_session(assessment)
    invitations.decide(decided.key, None, "rejected", None)
    make_session(make_key(assessment))  # still open
    privacy.erase(make_closed_session(assessment).key)
    make_closed_session(assessment).key.revoke()
    first = assign(reviewer, path, people)
    assert sorted(row["sessionId"] for row in first) == ids(sessions)
    assert sorted(row["personName"] for row in first) == ["Ann", "Ann", "Bob", "Bob"]
    assert assign(reviewer, path, people) == []
    assert len(assign(reviewer, path, people, perSession=2)) == 4
    assert listed(reviewer, path) == {(name, row) for name in ("Ann", "Bob") for row in ids(sessions)}


def test_a_session_that_a_reviewer_has_scored_counts_as_assigned(app, reviewer, path, people, assessment):
    session = make_closed_session(assessment)
    bob = Caller.person(app, people[1])
    body_of(bob.put(f"/v1/sessions/{session.id}/scores/quality", {"value": 1}))
    assert assign(reviewer, path, people) == []
    (row,) = assign(reviewer, path, people, perSession=2)
    assert (row["personName"], row["scored"]) == ("Ann", False)


def test_an_assignment_is_open_until_the_score_or_the_decision(app, reviewer, path, people, assessment):
    scored, decided, waiting = [make_closed_session(assessment) for _ in range(3)]
    bob = people[1]
    assign(reviewer, path, [bob])
    body_of(Caller.person(app, bob).put(f"/v1/sessions/{scored.id}/scores/quality", {"value": 1}))
    invitations.decide(decided.key, None, "rejected", None)
    rows = body_of(reviewer.get(path))["assignments"]
    assert {row["sessionId"]: (row["scored"], row["open"]) for row in rows} == {
        str(scored.id): (True, False),
        str(decided.id): (False, False),
        str(waiting.id): (False, True),
    }


def test_the_due_date_must_be_in_the_future(reviewer, path, people):
    body = {"personIds": ids(people), "dueAt": format_timestamp(clock.now() - timedelta(minutes=1))}
    assert error_paths(reviewer.post(path, body)) == [["dueAt"]]


def test_assignments_in_one_request_are_limited(reviewer, path, people, assessment, monkeypatch):
    monkeypatch.setattr("models.review.assignments.MAX_ASSIGNMENTS", 3)
    sessions = [make_closed_session(assessment) for _ in range(2)]
    body = {"personIds": ids(people), "perSession": 2}
    assert error_paths(reviewer.post(path, body)) == [["sessionIds"]]
    assert listed(reviewer, path) == set()
    assert len(assign(reviewer, path, people, perSession=2, sessionIds=ids(sessions[:1]))) == 2


def test_each_reviewer_gets_one_email(clock, reviewer, path, people, assessment, worker, tmp_path):
    for _ in range(3):
        make_closed_session(assessment)
    assign(reviewer, path, people[:1], dueAt="2026-12-04T16:00:00Z")
    worker.run_once()
    texts = [file.read_text() for file in tmp_path.rglob("*.eml")]
    (text,) = (text for text in texts if f"Subject: 3 sessions to score: {assessment.title}" in text)
    assert "To: Ann <ann@people.example>" in text
    assert f'score 3 sessions of "{assessment.title}" by 4 December 2026, 16:00 UTC.' in text
    assert "/console#/todo" in text


def test_assigned_sessions_come_first_in_the_to_do_list(app, reviewer, path, people, assessment):
    first, second, third = (make_closed_session(assessment) for _ in range(3))
    due_at = format_timestamp(clock.now() + timedelta(days=2))
    assign(reviewer, path, people[:1], sessionIds=ids([second]))
    assign(reviewer, path, people[:1], sessionIds=ids([third]), dueAt=due_at)
    todo = to_score(app, people[0])
    entries = [(entry["sessionId"], entry["assigned"] is True, entry["dueAt"]) for entry in todo["entries"]]
    assert entries == [
        (str(third.id), True, due_at),
        (str(second.id), True, None),
        (str(first.id), False, None),
    ]
    assert (todo["count"], todo["assignedCount"]) == (3, 2)
    assert to_score(app, people[1])["assignedCount"] == 0


def test_an_assignment_can_be_removed_and_made_again(reviewer, path, people, assessment):
    make_closed_session(assessment)
    (row,) = assign(reviewer, path, people[:1])
    assert body_of(reviewer.delete(f"/v1/assignments/{row['id']}")) == {"ok": True, "id": row["id"]}
    assert listed(reviewer, path) == set()
    assert error_of(reviewer.delete(f"/v1/assignments/{row['id']}")) == (404, "not_found")
    assert len(assign(reviewer, path, people[:1])) == 1


@pytest.mark.parametrize("values", [{"active": False}, {"role": "observer"}, None])
def test_assignments_of_people_who_can_no_longer_score_end(reviewer, path, people, assessment, values):
    session = make_closed_session(assessment)
    assign(reviewer, path, people, perSession=2)
    if values:
        users.update(people[0], reviewer.row, values)
    else:
        users.remove(people[0], reviewer.row)
        emails = Delivery.select().where(Delivery.subject_id == people[0].id)
        assert {(email.state, email.address) for email in emails} == {("canceled", None)}
    assert listed(reviewer, path) == {("Bob", str(session.id))}
    assert Assignment.select().count() == 2


def test_unknown_people_and_sessions_are_rejected(app, reviewer, neighbour, path, people, assessment):
    observer = make_person(reviewer.row.organization, "observer", "Olga")
    stranger = make_person(neighbour.row.organization, name="Sam")
    open_session = make_session(make_key(assessment))
    body = {"personIds": ids([people[0], observer]), "sessionIds": []}
    assert error_paths(reviewer.post(path, body)) == [["personIds", 1]]
    assert error_paths(reviewer.post(path, body | {"personIds": ids([stranger])})) == [["personIds", 0]]
    body |= {"personIds": ids(people), "sessionIds": ids([open_session])}
    assert error_paths(reviewer.post(path, body)) == [["sessionIds", 0]]


def test_an_assessment_without_a_rubric_has_nothing_to_assign(reviewer, organization, people):
    path = f"/v1/assessments/{make_assessment(organization).id}/assignments"
    assert error_of(reviewer.post(path, {"personIds": ids(people)})) == (409, "no_rubric")
