"""Assessments: create, list, get, delete; the specification sentence by sentence, with R2, R3, R6 to R9, R12, R23."""

import uuid
from datetime import timedelta

import pytest
from answers import places, refusal
from callers import Caller
from factories import (
    envelope,
    make_assessment,
    make_closed_session,
    make_issue,
    make_key,
    make_keys,
    make_rubric,
)

from models import Assessment, CandidateKey, Event, Issue, Session

BODY = {
    "title": "Backend API Challenge",
    "role": "Senior Backend Engineer",
    "taskBrief": "Find the lost orders.",
}
MEMBERS = {
    "id", "orgId", "title", "role", "taskBrief", "repoUrl", "issueId", "issue", "rubricId", "timeLimitMinutes",
    "expiresInDays", "createdAt", "updatedAt",
}  # fmt: skip
NOWHERE = "00000000-0000-7000-8000-000000000000"
SOLUTION = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def create(reviewer, **members):
    """The answer to a create; a member that is None is sent as null, one that is ... is left out."""
    body = {name: value for name, value in (BODY | members).items() if value is not ...}
    return reviewer.post("/v1/assessments", body)


def created(reviewer, **members):
    answer = create(reviewer, **members)
    assert answer.status_code == 201, answer.json
    return answer.json["assessment"]


# Create: what comes out


def test_create_answers_the_assessment(clock, reviewer, organization):
    rubric = make_rubric(organization)
    answer = create(
        reviewer, repoUrl="https://github.com/example/orders", timeLimitMinutes=90, expiresInDays=14,
        rubricId=str(rubric.id),
    )  # fmt: skip
    assert answer.status_code == 201
    assert answer.json == {
        "assessment": {
            "id": answer.json["assessment"]["id"],
            "orgId": str(organization.id),
            "title": "Backend API Challenge",
            "role": "Senior Backend Engineer",
            "taskBrief": "Find the lost orders.",
            "repoUrl": "https://github.com/example/orders",
            "issueId": None,
            "issue": None,
            "rubricId": str(rubric.id),
            "timeLimitMinutes": 90,
            "expiresInDays": 14,
            "createdAt": "2026-04-01T09:00:00.000Z",
            "updatedAt": "2026-04-01T09:00:00.000Z",
        }
    }


def test_what_is_not_given_is_null_or_its_default(reviewer):
    assessment = created(reviewer)
    assert set(assessment) == MEMBERS
    nulls = {name for name, value in assessment.items() if value is None}
    assert nulls == {"repoUrl", "issueId", "issue", "rubricId", "timeLimitMinutes"}
    assert assessment["expiresInDays"] == 7


def test_an_explicit_null_equals_leaving_it_out(reviewer):
    nulls = dict.fromkeys(("issueId", "repoUrl", "timeLimitMinutes", "expiresInDays", "rubricId"))
    assert created(reviewer, **nulls)["expiresInDays"] == 7


def test_the_id_is_a_uuid_in_lower_case(reviewer):
    text = created(reviewer)["id"]
    assert text == str(uuid.UUID(text))


def test_unknown_and_server_owned_members_are_ignored(clock, reviewer, organization):
    assessment = created(
        reviewer, id=NOWHERE, orgId=NOWHERE, createdAt="1999-01-01T00:00:00.000Z", status="completed",
        deletedAt="1999-01-01T00:00:00.000Z", later={"deeply": ["nested"]},
    )  # fmt: skip
    assert assessment["id"] != NOWHERE
    assert assessment["orgId"] == str(organization.id)
    assert assessment["createdAt"] == "2026-04-01T09:00:00.000Z"
    assert set(assessment) == MEMBERS


# Create: what goes in


@pytest.mark.parametrize("member", ["title", "role"])
@pytest.mark.parametrize("wrong", [..., None, "", "  \n ", "x" * 256, 7, ["x"], {}, True])
def test_title_and_role_are_required_texts_of_1_to_255_characters(reviewer, member, wrong):
    assert places(create(reviewer, **{member: wrong})) == [[member]]


@pytest.mark.parametrize("member", ["title", "role"])
def test_title_and_role_are_measured_and_kept_without_outer_white_space(reviewer, member):
    assert created(reviewer, **{member: "  x "})[member] == "x"
    assert created(reviewer, **{member: " " + "ü" * 255 + " "})[member] == "ü" * 255


@pytest.mark.parametrize("missing", [..., None, "", "  \n\t"])
def test_a_brief_is_required_without_an_issue(reviewer, missing):
    assert places(create(reviewer, taskBrief=missing)) == [["taskBrief"]]


def test_a_brief_has_at_most_50000_characters(reviewer):
    assert len(created(reviewer, taskBrief="b" * 50_000)["taskBrief"]) == 50_000
    assert places(create(reviewer, taskBrief="b" * 50_001)) == [["taskBrief"]]


def test_a_brief_keeps_its_lines_and_indentation(reviewer):
    assert created(reviewer, taskBrief="  1. Look\n  2. Fix\n")["taskBrief"] == "  1. Look\n  2. Fix\n"


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/example/orders",
        "http://localhost:8080/x.git",
        "ssh://git@github.com/example/orders.git",
        "https://git@example.com/x",
        "https://[::1]/x",
        "https://example.com/" + "x" * 2028,
    ],
)
def test_a_repository_is_an_absolute_url(reviewer, url):
    assert created(reviewer, repoUrl=url)["repoUrl"] == url


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com/x", "/x", "//example.com/x", "git@github.com:example/orders.git", "ftp://example.com/x",
        "file:///etc/passwd", "javascript:alert(1)", "https://", "https:///x", "https://user:secret@example.com/x",
        "https://user:@example.com/x", "https://example.com/a b", "https://example.com:port/x", "https://[::1/x",
        "https://example.com/\nx", 'https://"><script>', "https://host\\x", "https://a\u00a0b/", "https://a%0ab/",
        "https://example.com/" + "x" * 2029, 7, ["https://example.com"],
    ],
)  # fmt: skip
def test_anything_else_is_no_repository(reviewer, url):
    assert places(create(reviewer, repoUrl=url)) == [["repoUrl"]]


@pytest.mark.parametrize(("member", "most"), [("timeLimitMinutes", 43_200), ("expiresInDays", 365)])
def test_times_have_their_bounds(reviewer, member, most):
    assert created(reviewer, **{member: 1})[member] == 1
    assert created(reviewer, **{member: most})[member] == most
    assert places(create(reviewer, **{member: 0})) == [[member]]
    assert places(create(reviewer, **{member: most + 1})) == [[member]]


@pytest.mark.parametrize("member", ["timeLimitMinutes", "expiresInDays"])
@pytest.mark.parametrize("wrong", ["7", 7.0, 7.5, True, [7], {}, -1, 2**63 - 1])
def test_times_are_strict_integers(reviewer, member, wrong):
    assert places(create(reviewer, **{member: wrong})) == [[member]]


def test_every_wrong_member_is_named(reviewer):
    answer = create(reviewer, title="", role=7, repoUrl="nowhere", timeLimitMinutes="90")
    assert sorted(places(answer)) == [["repoUrl"], ["role"], ["timeLimitMinutes"], ["title"]]


# Create: what it refers to (R8)


def test_a_brief_is_taken_from_the_issue(reviewer):
    issue = make_issue(task_brief="The issue's own brief.", repo_url="https://github.com/example/orders")
    assessment = created(reviewer, taskBrief=..., issueId=str(issue.id))
    assert assessment["taskBrief"] == "The issue's own brief."
    assert assessment["repoUrl"] == "https://github.com/example/orders"
    assert assessment["issueId"] == assessment["issue"]["id"] == str(issue.id)


@pytest.mark.parametrize("blank", [None, "", " \n"])
def test_a_blank_brief_is_taken_from_the_issue_too(reviewer, blank):
    issue = make_issue(task_brief="The issue's own brief.")
    assert created(reviewer, taskBrief=blank, issueId=str(issue.id))["taskBrief"] == "The issue's own brief."


def test_an_explicit_brief_takes_precedence_over_the_issues(reviewer):
    issue = make_issue(repo_url="https://github.com/example/orders")
    assessment = created(
        reviewer, taskBrief="My own.", issueId=str(issue.id), repoUrl="https://example.com/mine"
    )
    assert (assessment["taskBrief"], assessment["repoUrl"]) == ("My own.", "https://example.com/mine")


def test_what_was_taken_from_the_issue_stays_if_the_issue_changes(reviewer, organization):
    issue = make_issue(organization, task_brief="Before.", repo_url="https://example.com/before")
    before = created(reviewer, taskBrief=..., issueId=str(issue.id))
    reviewer.patch(f"/v1/issues/{issue.id}", {"taskBrief": "After.", "repoUrl": "https://example.com/after"})
    after = reviewer.get(f"/v1/assessments/{before['id']}").json["assessment"]
    assert (after["taskBrief"], after["repoUrl"]) == ("Before.", "https://example.com/before")


def test_commit_folder_and_setup_are_copied_with_the_repository(reviewer):
    copied = {"repo_commit": SOLUTION, "repo_subdir": "orders", "setup_instructions": "make"}
    issue = make_issue(repo_url="https://example.com/x", **copied)
    same = Assessment.get_by_id(created(reviewer, issueId=str(issue.id))["id"])
    other = Assessment.get_by_id(
        created(reviewer, issueId=str(issue.id), repoUrl="https://example.com/y")["id"]
    )
    assert {name: getattr(same, name) for name in copied} == copied
    assert {getattr(other, name) for name in copied} == {None}


@pytest.mark.parametrize("member", ["issueId", "rubricId"])
@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense", "", 7, ["x"], "0" * 32])
def test_an_unknown_reference_is_400(reviewer, member, wrong):
    assert [member] in places(create(reviewer, **{member: wrong}))


def test_what_belongs_to_a_neighbour_is_an_unknown_reference(reviewer, neighbour):
    issue, rubric = make_issue(neighbour.row.organization), make_rubric(neighbour.row.organization)
    assert places(create(reviewer, issueId=str(issue.id))) == [["issueId"]]
    assert places(create(reviewer, rubricId=str(rubric.id))) == [["rubricId"]]


def test_what_was_deleted_is_an_unknown_reference(reviewer, organization):
    issue, rubric = make_issue(organization), make_rubric(organization)
    reviewer.delete(f"/v1/issues/{issue.id}")
    reviewer.delete(f"/v1/rubrics/{rubric.id}")
    assert places(create(reviewer, issueId=str(issue.id))) == [["issueId"]]
    assert places(create(reviewer, rubricId=str(rubric.id))) == [["rubricId"]]


# List


def test_list_is_empty_at_first(reviewer):
    answer = reviewer.get("/v1/assessments")
    assert (answer.status_code, answer.json) == (200, {"assessments": []})


def test_list_answers_all_in_the_order_of_their_creation(clock, reviewer):
    titles = ["First", "Second", "Third", "Fourth"]
    for title in titles:
        created(reviewer, title=title)
        clock.fixed += timedelta(hours=title != "Second")  # the second and the third at the same moment
    listed = reviewer.get("/v1/assessments").json["assessments"]
    assert [assessment["title"] for assessment in listed] == titles


def test_list_shows_the_same_object_as_create_and_get(reviewer):
    issue = make_issue()
    assessment = created(reviewer, issueId=str(issue.id))
    assert reviewer.get("/v1/assessments").json == {"assessments": [assessment]}
    assert reviewer.get(f"/v1/assessments/{assessment['id']}").json == {"assessment": assessment}


def test_list_shows_linked_issues_and_null_where_there_is_none(reviewer):
    issue = make_issue(title="Orders are lost", difficulty="hard", language="Go", labels=["concurrency"])
    created(reviewer, issueId=str(issue.id))
    created(reviewer)
    with_issue, without = reviewer.get("/v1/assessments").json["assessments"]
    assert without["issue"] is None
    shown = with_issue["issue"]
    assert (shown["title"], shown["difficulty"], shown["language"]) == ("Orders are lost", "hard", "Go")
    assert shown["labels"] == ["concurrency"]


def test_list_leaves_out_the_deleted_and_the_neighbours(reviewer, neighbour):
    kept, deleted = created(reviewer), created(reviewer)
    created(neighbour)
    reviewer.delete(f"/v1/assessments/{deleted['id']}")
    assert [found["id"] for found in reviewer.get("/v1/assessments").json["assessments"]] == [kept["id"]]


# Get


def test_a_candidate_gets_the_own_assessment(reviewer, candidate, assessment):
    path = f"/v1/assessments/{assessment.id}"
    answer = candidate.get(path)
    assert answer.status_code == 200
    assert answer.json == reviewer.get(path).json


def test_a_candidate_gets_all_of_it_that_a_reviewer_gets(app, reviewer, organization):
    issue = make_issue(organization, repo_url="https://example.com/orders", labels=["go"], language="go")
    values = {"rubric_id": make_rubric(organization).id, "time_limit_minutes": 90, "expires_in_days": 3}
    assessment = make_assessment(organization, issue_id=issue.id, **values)
    path = f"/v1/assessments/{assessment.id}"
    shown = reviewer.get(path).json["assessment"]
    shown["issue"] |= dict.fromkeys(("testCommand", "referenceSha", "sources", "license"))
    assert Caller.candidate(app, make_key(assessment)).get(path).json == {"assessment": shown}


def test_a_reviewer_sees_what_solves_the_issue_and_a_candidate_does_not(app, reviewer, organization):
    secrets = {
        "reference_sha": SOLUTION,
        "test_command": "go test -run Lost",
        "sources": ["https://example.com/fix"],
    }
    issue = make_issue(organization, **secrets, license="MIT")
    assessment = make_assessment(organization, issue_id=issue.id)
    candidate = Caller.candidate(app, make_key(assessment))
    for path in (f"/v1/assessments/{assessment.id}", f"/v1/issues/{issue.id}"):
        assert SOLUTION in reviewer.get(path).text
        seen = candidate.get(path)
        assert seen.status_code == 200
        assert not any(text in seen.text for text in (SOLUTION, "go test -run Lost", "example.com/fix"))


def test_a_candidate_still_sees_an_issue_that_was_deleted(app, reviewer, organization):
    issue = make_issue(organization)
    assessment = make_assessment(organization, issue_id=issue.id)
    issue.delete_softly()
    candidate = Caller.candidate(app, make_key(assessment))
    assert candidate.get(f"/v1/assessments/{assessment.id}").json["assessment"]["issue"]["id"] == str(
        issue.id
    )
    assert candidate.get(f"/v1/issues/{issue.id}").status_code == 200


# Delete


def test_delete_answers_ok_and_the_id(reviewer, assessment):
    answer = reviewer.delete(f"/v1/assessments/{assessment.id}")
    assert (answer.status_code, answer.json) == (200, {"ok": True, "id": str(assessment.id)})


def test_delete_takes_the_assessment_and_its_keys_out_of_everything(reviewer, assessment):
    (key,) = make_keys(assessment, 1)
    reviewer.delete(f"/v1/assessments/{assessment.id}")
    path = f"/v1/assessments/{assessment.id}"
    assert reviewer.get("/v1/assessments").json == {"assessments": []}
    assert reviewer.get("/v1/candidates").json["total"] == 0
    for gone in (path, f"{path}/keys", f"{path}/cohort-stats"):
        assert refusal(reviewer.get(gone)) == (404, "not_found")
    for gone in (path, f"{path}/keys/{key.id}"):
        assert refusal(reviewer.delete(gone)) == (404, "not_found")
    assert refusal(reviewer.post(f"{path}/keys", {"count": 1})) == (404, "not_found")
    assert refusal(reviewer.patch(f"/v1/candidates/{key.id}", {"hired": True})) == (404, "not_found")


def test_delete_locks_candidates_out_at_once(reviewer, candidate, anonymous, key, session, assessment):
    reviewer.delete(f"/v1/assessments/{assessment.id}")
    assert candidate.get(f"/v1/sessions/{session.id}").status_code == 401
    assert candidate.post("/v1/hooks/ingest", envelope()).status_code == 401
    for path in ("redeem", "consent", "complete"):
        answer = anonymous.post(f"/v1/candidate/{path}", {"key": key.key, "sessionId": str(session.id)})
        assert refusal(answer) == (404, "key_not_found")


def test_delete_keeps_sessions_and_events_out_of_sight(reviewer, assessment):
    session = make_closed_session(assessment, envelope("prompt"))
    reviewer.delete(f"/v1/assessments/{assessment.id}")
    assert refusal(reviewer.get(f"/v1/sessions/{session.id}")) == (404, "not_found")
    assert Session.select().count() == Event.select().count() == CandidateKey.select().count() == 1


def test_delete_leaves_other_assessments_alone(reviewer, organization, assessment):
    other = make_assessment(organization)
    (key,) = make_keys(other, 1)
    reviewer.delete(f"/v1/assessments/{assessment.id}")
    listed = reviewer.get(f"/v1/assessments/{other.id}/keys").json["keys"]
    assert [shown["id"] for shown in listed] == [str(key.id)]


def test_a_neighbour_deletes_nothing(neighbour, assessment):
    assert refusal(neighbour.delete(f"/v1/assessments/{assessment.id}")) == (404, "not_found")
    assert Assessment.alive().count() == 1


def test_an_issue_of_the_catalogue_serves_every_organization(reviewer, neighbour):
    issue = make_issue()
    assert (
        created(reviewer, issueId=str(issue.id))["issueId"]
        == created(neighbour, issueId=str(issue.id))["issueId"]
    )
    assert Issue.select().count() == 1
