"""Checks of tasks, and test runs of submissions."""

import json

import pytest
from callers import Caller
from factories import (
    make_assessment,
    make_issue,
    make_key,
    make_person,
    make_session,
    make_submission,
    make_task,
)
from response_checks import body_of, error_of

import models
from models import invitations, sessions
from models.tasks import claims, queue

PASSED = [{"name": name, "outcome": "passed"} for name in ("one", "two")]


@pytest.fixture
def runner(app, organization):
    return Caller.runner(app, organization)


def run_next(runner, tests=PASSED, state="finished", **fields):
    job = runner.post("/v1/runner/jobs/claim", {"runner": "machine", "engine": "podman"}).json["job"]
    body = {"attempt": job["attempt"], "state": state, "tests": tests} | fields
    assert runner.put(f"/v1/runner/jobs/{job['id']}/result", body).status_code == 200
    return job


def submit(assessment):
    session = make_session(make_key(assessment))
    make_submission(session)
    sessions.complete(session)
    queue.queue_due()
    return session


def replace_tests(check):
    """Replace the tests. Returns the new check."""
    for file in (check.repository, check.tests, check.reference):
        file.update_columns(replaced_at=models.clock.now())
    return make_task(models.Assessment.get_by_id(check.owner_id))


@pytest.mark.parametrize("is_checked_again", [False, True])
def test_a_newer_submission_does_not_show_the_run_of_the_earlier_one(
    app, reviewer, assessment, runner, is_checked_again
):
    check = make_task(assessment)
    session = submit(assessment)
    run_next(runner)
    path = f"/v1/sessions/{session.id}"
    assert body_of(reviewer.get(path))["hiddenTests"]["passed"] == 2
    if is_checked_again:
        check.update_columns(state="running")
    else:
        for file in (check.repository, check.tests, check.reference):
            file.update_columns(replaced_at=models.clock.now())
    make_submission(session)
    session.update_columns(tests_due=True)
    queue.queue_due()
    assert body_of(reviewer.get(path))["hiddenTests"] is None


# Checks


@pytest.mark.parametrize("noun", ["assessments", "issues"])
def test_a_check_runs_the_base_once_and_the_reference_five_times(app, reviewer, organization, runner, noun):
    owner = make_assessment(organization) if noun == "assessments" else make_issue(organization)
    path = f"/v1/{noun}/{owner.id}/tests/check"
    assert error_of(reviewer.get(path)) == (404, "not_found")
    assert error_of(reviewer.post(path)) == (409, "task_incomplete")
    make_task(owner)
    check = body_of(reviewer.post(path), 202)["check"]
    assert (check["state"], check["names"]) == ("running", None)
    action = {"assessments": "checkAssessment", "issues": "checkIssue"}[noun]
    assert models.AuditEntry.get(models.AuditEntry.action == action).subject_id == owner.id
    assert error_of(reviewer.post(path)) == (409, "check_running")
    unsolved = [PASSED[0], {"name": "two", "outcome": "failed"}]
    unstable = [{"name": "three", "outcome": "passed"}]
    jobs = [run_next(runner, unsolved)] + [run_next(runner, PASSED + unstable) for _ in range(4)]
    assert reviewer.get(path).json["check"]["state"] == "running"
    jobs.append(run_next(runner, PASSED))
    assert [job["purpose"] for job in jobs] == ["base"] + ["reference"] * 5
    assert [job["inputs"]["reference"] is None for job in jobs] == [True] + [False] * 5
    check = reviewer.get(path).json["check"]
    assert (check["state"], check["problem"], check["isCurrent"]) == ("ready", None, True)
    assert (check["names"], check["unstable"]) == (["one", "two"], ["three"])
    assert [(run["purpose"], run["passed"], run["total"]) for run in check["runs"]][:2] == [
        ("base", 1, 2),
        ("reference", 3, 3),
    ]


def test_a_check_that_a_runner_cannot_run_fails(reviewer, assessment, runner, clock):
    make_task(assessment)
    path = f"/v1/assessments/{assessment.id}/tests/check"
    reviewer.post(path)
    for _ in range(18):
        run_next(runner, [], "failed", reason="No such image.")
        clock.fixed += claims.RETRY_DELAY
    check = reviewer.get(path).json["check"]
    assert (check["state"], check["problem"]) == ("failed", "No such image.")
    assert reviewer.get("/v1/todo").json["failedChecks"]["entries"][0]["problem"] == "No such image."
    body_of(reviewer.delete(f"/v1/assessments/{assessment.id}/tests"))
    assert reviewer.get("/v1/todo").json["failedChecks"]["count"] == 0


@pytest.mark.parametrize(
    ("tests", "reason", "problem"),
    [
        ([{"name": "one", "outcome": "failed", "output": "assert 0"}], None, "does not pass one.\nassert 0"),
        ([], "The tests wrote no report.", "`finished`. The tests wrote no report."),
    ],
    ids=["failed", "without tests"],
)
def test_a_check_shows_why_the_reference_fails(reviewer, assessment, runner, tests, reason, problem):
    make_task(assessment)
    path = f"/v1/assessments/{assessment.id}/tests/check"
    reviewer.post(path)
    for _ in range(6):
        run_next(runner, tests, reason=reason)
    check = reviewer.get(path).json["check"]
    assert check["state"] == "not_ready"
    assert check["problem"].endswith(problem)


def test_a_reference_that_times_out_is_not_ready(reviewer, assessment, runner):
    make_task(assessment)
    path = f"/v1/assessments/{assessment.id}/tests/check"
    reviewer.post(path)
    for _ in range(6):
        run_next(runner, [], "timed_out", reason="The tests took longer than 120 seconds.")
    check = reviewer.get(path).json["check"]
    assert check["state"] == "not_ready"
    assert "`timed_out`. The tests took longer" in check["problem"]


# Runs


def test_runs_are_listed_with_the_one_that_counts(reviewer, assessment, runner):
    make_task(assessment, image="python:3.12")
    session = submit(assessment)
    run_next(runner, [PASSED[0] | {"output": "1 passed"}])
    path = f"/v1/sessions/{session.id}/test-runs"
    (run,) = reviewer.get(path).json["testRuns"]
    assert (
        run
        | {
            "state": "finished",
            "passed": 1,
            "total": 2,
            "isComplete": False,
            "inProcess": True,
            "isCurrent": True,
            "counts": True,
            "image": "python:3.12",
            "submissionSha256": "1" * 64,
            "tests": [
                {"name": "one", "outcome": "passed", "durationMs": None},
                {"name": "two", "outcome": "missing", "durationMs": None},
            ],
        }
        == run
    )
    assert run["runner"]["name"] == "machine"
    run = reviewer.get(f"{path}/{run['id']}").json["testRun"]
    assert run["tests"][0]["output"] == "1 passed"
    again = body_of(reviewer.post(path), 201)["testRun"]
    assert (again["state"], again["counts"], again["runner"]) == ("waiting", False, None)
    assert error_of(reviewer.post(path)) == (409, "run_pending")
    assert models.AuditEntry.get(models.AuditEntry.action == "runTests").subject_id is not None
    assert [run["counts"] for run in reviewer.get(path).json["testRuns"]] == [False, True]
    run_next(runner)
    assert [run["counts"] for run in reviewer.get(path).json["testRuns"]] == [True, False]
    export = reviewer.get(f"/v1/sessions/{session.id}/export").text.splitlines()
    assert [json.loads(line)["testRun"]["passed"] for line in export[1:3]] == [1, 2]


def test_a_session_cannot_show_the_run_of_another(reviewer, assessment, runner):
    make_task(assessment)
    session = submit(assessment)
    run_next(runner, [PASSED[0]])
    other = submit(assessment)
    run_next(runner)
    shown = models.Session.get_by_id(other.id).hidden_run_id
    models.Session.update(hidden_run_id=shown).where(models.Session.id == session.id).execute()
    assert reviewer.get(f"/v1/sessions/{session.id}").json["hiddenTests"] is None


def test_running_again_requires_ready_tests_and_a_submission(reviewer, assessment):
    session = make_session(make_key(assessment))
    path = f"/v1/sessions/{session.id}/test-runs"
    assert error_of(reviewer.post(path)) == (409, "task_not_ready")
    make_task(assessment)
    assert error_of(reviewer.post(path)) == (409, "no_submission")


def test_the_open_cohort_is_tested_again_after_a_change_of_the_tests(reviewer, assessment, runner):
    check = make_task(assessment)
    session, decided, revoked = (submit(assessment) for _ in range(3))
    run_next(runner, PASSED[:1])
    for _ in range(2):
        run_next(runner)
    path = f"/v1/assessments/{assessment.id}"
    tests = [{"name": "one", "passed": 3}, {"name": "two", "passed": 2}]
    assert reviewer.get(f"{path}/test-results").json == {"tests": tests, "runs": 3, "outdated": 0}
    invitations.decide(decided.key, reviewer.row, "declined", None)
    revoked.key.revoke()
    replace_tests(check)
    results = reviewer.get(f"{path}/test-results").json
    assert (results["runs"], results["outdated"]) == (0, 1)
    (run,) = reviewer.get(f"/v1/sessions/{session.id}/test-runs").json["testRuns"]
    assert not run["isCurrent"]
    response = reviewer.post(f"{path}/test-runs", {"runs": 2})
    assert error_of(response) == (409, "run_count_changed")
    assert "is now 1" in response.json["error"]
    assert reviewer.post(f"{path}/test-runs", {"runs": 1}).status_code == 202
    queue.queue_due()
    run_next(runner)
    assert reviewer.get(f"{path}/test-results").json["outdated"] == 0
    assert reviewer.get(f"/v1/sessions/{session.id}").json["hiddenTests"]["passed"] == 2


# Candidates


def test_candidates_see_the_counts_only_after_the_decision_and_if_the_assessment_shows_them(
    app, assessment, runner, reviewer
):
    make_task(assessment)
    session = submit(assessment)
    run_next(runner, PASSED[:1])
    candidate = Caller.candidate(app, session.key)

    def counts():
        return candidate.get("/v1/candidate/workspace").json["hiddenTests"]

    assert counts() is None
    path = f"/v1/assessments/{assessment.id}"
    assert reviewer.patch(path, {"showTestCounts": True}).json["assessment"]["showTestCounts"] is True
    assert counts() is None
    invitations.decide(session.key, reviewer.row, "declined", None)
    assert counts() == {"passed": 1, "total": 2}
    assert "test-runs" not in candidate.get(f"/v1/sessions/{session.id}").text
    assert error_of(candidate.get(f"/v1/sessions/{session.id}/test-runs")) == (401, "unauthorized")


# Operation


def test_the_to_do_list_names_runs_that_no_runner_takes_or_that_failed(
    app, clock, reviewer, assessment, organization
):
    make_task(assessment)
    session = submit(assessment)
    assert reviewer.get("/v1/todo").json["stalledTestRuns"]["count"] == 0
    clock.fixed += models.todo.RUNNER_EXPECTED_WITHIN
    (entry,) = reviewer.get("/v1/todo").json["stalledTestRuns"]["entries"]
    assert entry["sessionId"] == str(session.id)
    assert reviewer.get("/v1/org/runners").json["alive"] == 0
    runner = Caller.runner(app, organization)
    runner.row.record_use()
    assert reviewer.get("/v1/todo").json["stalledTestRuns"]["count"] == 0
    assert reviewer.get("/v1/org/runners").json["alive"] == 1
    for _ in range(claims.MAX_ATTEMPTS):
        run_next(runner, [], "failed", reason="No such image.")
        clock.fixed += claims.RETRY_DELAY
    (entry,) = reviewer.get("/v1/todo").json["stalledTestRuns"]["entries"]
    assert (entry["state"], entry["reason"]) == ("failed", "No such image.")


def test_an_organizations_token_is_in_its_audit_log(reviewer, app, organization):
    created = body_of(reviewer.post("/v1/org/runners", {"name": "One"}), 201)
    runner = Caller(app, Authorization=f"Bearer {created['secret']}")
    claim = {"runner": "machine", "engine": "docker"}
    assert runner.post("/v1/runner/jobs/claim", claim).status_code == 204
    assert error_of(runner.get("/v1/org")) == (401, "unauthorized")
    assert error_of(reviewer.post("/v1/runner/jobs/claim", claim)) == (401, "unauthorized")
    (listed,) = reviewer.get("/v1/org/runners").json["runners"]
    assert listed["isAlive"]
    assert reviewer.delete(f"/v1/org/runners/{listed['id']}").status_code == 200
    assert error_of(runner.post("/v1/runner/jobs/claim", claim)) == (401, "unauthorized")
    entries = models.AuditEntry.select(models.AuditEntry.action).order_by(models.AuditEntry.id)
    assert [entry.action for entry in entries] == ["createRunner", "revokeRunner"]


def test_the_command_line_manages_runners(flask, organization):
    token = flask("runner", "create", "Everywhere").strip()
    flask("runner", "create", "Only Acme", "--organization", "Acme")
    assert token.startswith("psr_")
    everywhere, only_acme = flask("runner", "list").splitlines()
    assert "(all organizations)" in everywhere
    assert "(Acme)" in only_acme
    for line in (everywhere, only_acme):
        flask("runner", "revoke", line.split()[0])
    assert flask("runner", "list") == ""
    assert "No such runner" in flask("runner", "revoke", only_acme.split()[0], fails=True)
    entries = models.AuditEntry.select().where(models.AuditEntry.organization == organization)
    assert [entry.action for entry in entries.order_by(models.AuditEntry.id)] == [
        "createRunner",
        "revokeRunner",
    ]


def test_only_reviewers_run_tests_again(app, organization, assessment):
    make_task(assessment)
    session = submit(assessment)
    observer = Caller.person(app, make_person(organization, "observer"))
    path = f"/v1/sessions/{session.id}/test-runs"
    assert observer.get(path).status_code == 200
    assert error_of(observer.post(path)) == (403, "insufficient_role")
