"""Assessments: create, list, get, update, delete (R2, R3, R6 to R9, R12, R23)."""

import uuid
from datetime import timedelta

import pytest
from callers import Caller
from factories import envelope, make_assessment, make_issue, make_key, make_rubric, make_session
from response_checks import body_of, error_of, error_paths

from models import Assessment

PATH = "/v1/assessments"
NEW = {"title": "Backend API Challenge", "role": "Engineer", "taskBrief": "Find the lost orders."}
UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"
COMMIT = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def post(reviewer, **fields):
    """Create an assessment, omitting fields set to `...`."""
    return reviewer.post(PATH, {name: value for name, value in (NEW | fields).items() if value is not ...})


def create(reviewer, **fields):
    return body_of(post(reviewer, **fields), 201)["assessment"]


def test_a_new_assessment_is_returned_and_listed(clock, reviewer, organization):
    issue, rubric = make_issue(), make_rubric(organization)
    fields = {"repoUrl": "https://github.com/example/orders", "timeLimitMinutes": 90, "expiresInDays": 14}
    fields |= {"repoCommit": COMMIT}
    fields |= {"brief": {"scenario": "Orders disappear.", "codebase": {"runCommand": "make run"}}}
    fields |= {"setupInstructions": "make setup", "allowedTools": ["codex"], "tokenBudgetUsd": 12.5}
    fields |= {"reminderDaysBefore": 2}
    assessment = create(reviewer, **fields, issueId=str(issue.id), rubricId=str(rubric.id))
    assert assessment["id"] == str(uuid.UUID(assessment["id"]))
    assert assessment == NEW | fields | {
        "id": assessment["id"],
        "orgId": str(organization.id),
        "issueId": str(issue.id),
        "issue": reviewer.get(f"/v1/issues/{issue.id}").json["issue"],
        "rubricId": str(rubric.id),
        "createdAt": "2026-04-01T09:00:00.000Z",
        "updatedAt": "2026-04-01T09:00:00.000Z",
        "blind": False,
        "showTestCounts": False,
        "archivedAt": None,
        "repository": None,
    }
    assert reviewer.get(PATH).json == {"assessments": [assessment], "next": None}
    assert reviewer.get(f"{PATH}/{assessment['id']}").json == {"assessment": assessment}


OPTIONAL_HIDDEN = {
    "repoCommit",
    "brief",
    "setupInstructions",
    "allowedTools",
    "tokenBudgetUsd",
    "reminderDaysBefore",
}
HIDDEN_FROM_CANDIDATES = OPTIONAL_HIDDEN | {"archivedAt", "blind", "repository", "showTestCounts"}
OPTIONAL = ("repoUrl", "issueId", "rubricId", "timeLimitMinutes", "expiresInDays", *OPTIONAL_HIDDEN)


@pytest.mark.parametrize("fields", [{}, dict.fromkeys(OPTIONAL)])
def test_omitted_and_null_fields_get_their_defaults(reviewer, fields):
    assessment = create(reviewer, **fields)
    nulls = {name for name, value in assessment.items() if value is None}
    shared = {"repoUrl", "issueId", "issue", "rubricId", "timeLimitMinutes"}
    assert nulls == shared | HIDDEN_FROM_CANDIDATES - {"blind", "showTestCounts"}
    assert assessment["expiresInDays"] == 7


def test_unknown_and_read_only_fields_are_ignored(clock, reviewer, organization):
    read_only = {"id": UNKNOWN_ID, "orgId": UNKNOWN_ID, "createdAt": "1999-01-01T00:00:00.000Z"}
    unknown = {"status": "completed", "deletedAt": read_only["createdAt"], "later": {"deeply": ["nested"]}}
    assessment = create(reviewer, **read_only, **unknown)
    assert not read_only.items() & assessment.items()
    assert not unknown.keys() & assessment.keys()
    assert assessment["orgId"] == str(organization.id)


@pytest.mark.parametrize("field", ["title", "role"])
def test_title_and_role_are_required_and_at_most_255_characters(reviewer, field):
    for invalid in (..., None, "", "  \n ", "x" * 256, 7, ["x"], {}, True):
        assert error_paths(post(reviewer, **{field: invalid})) == [[field]], invalid
    for text in ("  x ", " " + "ü" * 255 + " "):
        assert create(reviewer, **{field: text})[field] == text.strip()


def test_allowed_tools_are_agents_and_hosted_tools(reviewer):
    created = create(reviewer, allowedTools=["claude", "web_search"])
    task = f"{PATH}/{created['id']}/task"
    assert reviewer.get(task).json["task"]["allowedTools"] == ["claude", "web_search"]
    for invalid in ([], ["web_search"], ["claude", "shell"], "claude"):
        assert error_paths(post(reviewer, allowedTools=invalid))[0][0] == "allowedTools", invalid
    response = reviewer.patch(f"{PATH}/{created['id']}", {"allowedTools": ["mcp"]})
    assert error_paths(response) == [["allowedTools"]]
    reviewer.patch(f"{PATH}/{created['id']}", {"allowedTools": None})
    assert reviewer.get(task).json["task"]["allowedTools"] is None


def test_task_brief_has_at_most_50000_characters(reviewer):
    for brief in ("b" * 50_000, "  1. Look\n  2. Fix\n"):
        created = create(reviewer, taskBrief=brief)
        assert created["taskBrief"] == brief
        path = f"{PATH}/{created['id']}"
        assert reviewer.patch(path, {"taskBrief": brief}).json["assessment"] == created
        for invalid in (None, "", "  \n\t", "b" * 50_001):
            assert error_paths(reviewer.patch(path, {"taskBrief": invalid})) == [["taskBrief"]]
    for invalid in (..., None, "", "  \n\t", "b" * 50_001):
        assert error_paths(post(reviewer, taskBrief=invalid)) == [["taskBrief"]]


def test_valid_repository_urls_are_accepted(reviewer):
    for url in (
        "https://github.com/example/orders", "http://localhost:8080/x.git", "ssh://git@github.com/example/orders.git",
        "https://git@example.com/x", "https://[::1]/x", "https://example.com/" + "x" * 2028,
    ):  # fmt: skip
        assert create(reviewer, repoUrl=url)["repoUrl"] == url


def test_invalid_repository_urls_are_rejected(reviewer):
    for url in (
        "", "example.com/x", "/x", "//example.com/x", "git@github.com:example/orders.git", "ftp://example.com/x",
        "file:///etc/passwd", "javascript:alert(1)", "https://", "https:///x", "https://user:secret@example.com/x",
        "https://user:@example.com/x", "https://example.com/a b", "https://example.com:port/x", "https://[::1/x",
        "https://example.com/\nx", 'https://"><script>', "https://host\\x", "https://a\u00a0b/", "https://a%0ab/",
        "https://example.com/" + "x" * 2029, 7, ["https://example.com"],
        # Git or ssh could interpret these as options.
        "ssh://-oProxyCommand=x", "ssh://-oProxyCommand=x/orders.git", "ssh://git@-oProxyCommand=x/orders.git",
        "ssh://-oProxyCommand=x@example.com/orders.git", "ssh://%2DoProxyCommand=x@example.com/orders.git",
        "ssh://%2doProxyCommand=x", "https://-example.com/x", "-oProxyCommand=x:y", "-oProxyCommand=x@host:y",
    ):  # fmt: skip
        assert error_paths(post(reviewer, repoUrl=url)) == [["repoUrl"]], url


@pytest.mark.parametrize(("field", "maximum"), [("timeLimitMinutes", 43_200), ("expiresInDays", 365)])
def test_time_limit_and_expiry_must_be_integers_in_range(reviewer, field, maximum):
    for value in (1, maximum):
        assert create(reviewer, **{field: value})[field] == value
    for invalid in (0, -1, maximum + 1, 2**63 - 1, "7", 7.0, 7.5, True, [7], {}):
        assert error_paths(post(reviewer, **{field: invalid})) == [[field]], invalid


def test_every_invalid_field_is_reported(reviewer):
    response = post(reviewer, title="", role=7, repoUrl="nowhere", timeLimitMinutes="90")
    assert sorted(error_paths(response)) == [["repoUrl"], ["role"], ["timeLimitMinutes"], ["title"]]


@pytest.mark.parametrize("blank", [..., None, "", " \n"])
def test_omitted_brief_and_repository_are_copied_from_the_issue(reviewer, blank):
    issue = make_issue(task_brief="The issue's brief.", repo_url="https://example.com/issue")
    assessment = create(reviewer, taskBrief=blank, issueId=str(issue.id))
    assert (assessment["taskBrief"], assessment["repoUrl"]) == (issue.task_brief, issue.repo_url)
    assert assessment["issueId"] == assessment["issue"]["id"] == str(issue.id)


def test_brief_and_repository_take_precedence_over_the_issues(reviewer):
    issue = make_issue(repo_url="https://example.com/issue")
    fields = {"taskBrief": "The assessment's brief.", "repoUrl": "https://example.com/assessment"}
    assert fields.items() <= create(reviewer, **fields, issueId=str(issue.id)).items()


def test_issue_updates_do_not_affect_the_assessment(reviewer, organization):
    issue = make_issue(organization, task_brief="Before.", repo_url="https://example.com/before")
    before = create(reviewer, taskBrief=..., issueId=str(issue.id))
    reviewer.patch(f"/v1/issues/{issue.id}", {"taskBrief": "After.", "repoUrl": "https://example.com/after"})
    after = reviewer.get(f"{PATH}/{before['id']}").json["assessment"]
    assert (after["taskBrief"], after["repoUrl"]) == ("Before.", "https://example.com/before")


def test_commit_folder_and_setup_are_copied_only_with_the_repository(reviewer):
    copied = {"repo_commit": COMMIT, "repo_subdir": "orders", "setup_instructions": "make"}
    issue = make_issue(repo_url="https://example.com/x", **copied)
    for repository, columns in (({}, copied), ({"repoUrl": "https://example.com/y"}, dict.fromkeys(copied))):
        row = Assessment.get_by_id(create(reviewer, issueId=str(issue.id), **repository)["id"])
        assert {name: getattr(row, name) for name in copied} == columns


def test_the_start_commit_can_be_set_until_a_candidate_has_started(reviewer):
    assert error_paths(post(reviewer, repoCommit=COMMIT[:12])) == [["repoCommit"]]
    assessment = create(
        reviewer, repoUrl="https://example.com/x", repoCommit=COMMIT, setupInstructions="make"
    )
    path, other = f"{PATH}/{assessment['id']}", COMMIT[::-1]
    repository = {"repoUrl": "https://example.com/y", "repoCommit": COMMIT}
    changed = body_of(reviewer.patch(path, repository))["assessment"]
    assert repository.items() <= changed.items()
    assert changed["setupInstructions"] is None
    make_session(make_key(Assessment.get_by_id(assessment["id"])))
    assert error_of(reviewer.patch(path, {"repoCommit": other})) == (409, "already_started")


@pytest.mark.parametrize(("field", "make"), [("issueId", make_issue), ("rubricId", make_rubric)])
def test_references_to_unavailable_rows_are_rejected(reviewer, organization, neighbour, field, make):
    deleted, other_org = make(organization), make(neighbour.row.organization)
    deleted.soft_delete()
    for invalid in (UNKNOWN_ID, "nonsense", "", 7, ["x"], "0" * 32, str(deleted.id), str(other_org.id)):
        assert [field] in error_paths(post(reviewer, **{field: invalid})), invalid


def test_candidates_get_neither_the_solution_nor_reviewer_fields(app, reviewer, organization):
    solution = {"test_command": "go test -run Lost", "reference_sha": COMMIT, "license": "MIT"}
    solution["description"] = "The total is computed twice."
    solution["sources"] = ["https://example.com/fix"]
    issue = make_issue(
        organization, repo_url="https://example.com/orders", labels=["go"], language="go", **solution
    )
    values = {"rubric_id": make_rubric(organization).id, "time_limit_minutes": 90, "expires_in_days": 3}
    assessment = make_assessment(organization, issue_id=issue.id, **values)
    candidate = Caller.candidate(app, make_key(assessment))
    hidden = dict.fromkeys(("description", "testCommand", "referenceSha", "sources", "license"))
    for path in (f"{PATH}/{assessment.id}", f"/v1/issues/{issue.id}"):
        assert COMMIT in reviewer.get(path).text
        expected = reviewer.get(path).json
        issue = (expected.get("assessment") or expected)["issue"]
        issue |= hidden
        del issue["repository"]
        for name in HIDDEN_FROM_CANDIDATES & expected.get("assessment", {}).keys():
            del expected["assessment"][name]
        assert candidate.get(path).json == expected


def test_an_assessment_can_be_archived_and_restored_at_any_time(clock, reviewer, assessment, session):
    path = f"{PATH}/{assessment.id}"
    archived = reviewer.patch(path, {"archived": True}).json["assessment"]
    assert archived["archivedAt"] == "2026-04-01T09:00:00.000Z"
    clock.fixed += timedelta(hours=1)
    assert reviewer.patch(path, {"archived": True}).json["assessment"] == archived
    assert reviewer.get(PATH).json["assessments"] == [archived]
    assert reviewer.patch(path, {"archived": False}).json["assessment"]["archivedAt"] is None


def test_a_deleted_assessment_disappears_with_its_keys(reviewer, organization, assessment, key):
    path, other = f"{PATH}/{assessment.id}", make_key(make_assessment(organization))
    assert reviewer.delete(path).json == {"ok": True, "id": str(assessment.id)}
    (row,) = reviewer.get(PATH).json["assessments"]
    assert row["id"] == str(other.assessment_id)
    (candidate,) = reviewer.get("/v1/candidates").json["candidates"]
    assert candidate["id"] == str(other.id)
    responses = [reviewer.get(deleted) for deleted in (path, f"{path}/keys", f"{path}/cohort-stats")]
    responses += [reviewer.delete(deleted) for deleted in (path, f"{path}/keys/{key.id}")]
    responses.append(reviewer.post(f"{path}/keys", {"count": 1}))
    responses.append(reviewer.patch(f"/v1/candidates/{key.id}", {"hired": True}))
    assert {error_of(response) for response in responses} == {(404, "not_found")}


def test_deleting_an_assessment_ends_its_candidates_access(
    reviewer, candidate, anonymous, key, session, assessment
):
    reviewer.delete(f"{PATH}/{assessment.id}")
    assert candidate.get(f"/v1/sessions/{session.id}").status_code == 401
    assert candidate.post("/v1/hooks/ingest", envelope()).status_code == 401
    for path in ("redeem", "consent", "complete"):
        response = anonymous.post(f"/v1/candidate/{path}", {"key": key.key, "sessionId": str(session.id)})
        assert error_of(response) == (404, "key_not_found")


def test_the_reminder_must_be_due_after_the_invitation(reviewer, assessment):
    new = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it.", "reminderDaysBefore": 7}
    assert error_paths(reviewer.post("/v1/assessments", new)) == [["reminderDaysBefore"]]
    assert reviewer.post("/v1/assessments", new | {"expiresInDays": 8}).status_code == 201
    path = f"/v1/assessments/{assessment.id}"
    assert error_paths(reviewer.patch(path, {"reminderDaysBefore": 7})) == [["reminderDaysBefore"]]
    assert reviewer.patch(path, {"reminderDaysBefore": 7, "expiresInDays": 8}).status_code == 200
    assert error_paths(reviewer.patch(path, {"expiresInDays": 7})) == [["expiresInDays"]]
    assert reviewer.get(f"{path}/task").json["task"]["reminderDaysBefore"] == 7
