"""Test runs of submissions, and checks of tasks."""

from typing import Any

from access import audit, auth, caller, etags, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find, or_not_found, page, with_location
from errors import CheckRunning, Erased, NoSubmission, RunCountChanged, TaskIncomplete, TaskNotReady
from models import ApiToken, Assessment, Issue, Session, TaskCheck, TestRun
from models.tasks import queue
from schemas import test_runs as schemas
from schemas.queries import PageQuery

blp = Blueprint(
    "Test runs", __name__, description="Runs of hidden tests on submissions, and checks of tasks."
)


@blp.get("/sessions/<id:session_id>/test-runs")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, schemas.TestRuns)
@audit.record_read
def list_test_runs(query, session_id):
    """List a session's test runs

    Newest first, with each test's outcome, but without outputs.
    """
    session = find(Session, session_id)
    response = page("test_runs", TestRun.of(session, with_results=True), query, newest_first=True)
    for run in response["test_runs"]:
        run.session = session
        for test in run.results or ():
            del test["output"]
    return response


@blp.get("/sessions/<id:session_id>/test-runs/<id:run_id>")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.TestRunResponse)
@audit.record_read
def get_test_run(session_id, run_id):
    """Get a test run

    Includes each test's output. A submission wrote it: show it as plain text.
    """
    session = find(Session, session_id)
    return {"test_run": find(TestRun, run_id, TestRun.of(session, with_results=True))}


@blp.post("/sessions/<id:session_id>/test-runs")
@auth.required(ApiToken, scope="write")
@with_location
@idempotent
@raises(Erased, NoSubmission, TaskNotReady)
@blp.response(201, schemas.TestRunResponse)
@audit.record_change(created="test_run")
def run_tests(session_id):
    """Run the hidden tests again

    On the submission that counts. Earlier runs stay.
    """
    return {"test_run": queue.run_again(find(Session, session_id))}


@blp.get("/assessments/<id:assessment_id>/test-results")
@auth.required(ApiToken)
@blp.response(200, schemas.TestResults)
def get_test_results(assessment_id):
    """Get the results of an assessment's hidden tests

    The number of sessions that passed each of the current tests, and of submissions that were not tested with them.
    """
    return queue.passed_by_test(find(Assessment, assessment_id))


@blp.post("/assessments/<id:assessment_id>/test-runs")
@auth.required(ApiToken, scope="write")
@idempotent
@raises(RunCountChanged, TaskNotReady)
@blp.arguments(schemas.CohortRun)
@blp.response(202, schemas.QueuedRuns)
@audit.record_change()
def run_cohort_tests(data, assessment_id):
    """Test an assessment's submissions with the current tests

    Tests the `outdated` submissions of the test results. Confirm their number in `runs`.
    """
    queue.retest_cohort(find(Assessment, assessment_id), data["runs"])
    return data


@blp.get("/assessments/<id:assessment_id>/tests/check")
@auth.required(ApiToken)
@blp.response(200, schemas.CheckResponse)
def get_assessment_check(assessment_id):
    """Get the latest check of an assessment's task

    Names the tests that count, and the reason why the task is not ready.
    """
    return _check(or_not_found(TaskCheck.latest(find(Assessment, assessment_id).id)))


@blp.post("/assessments/<id:assessment_id>/tests/check")
@auth.required(ApiToken, scope="write")
@idempotent
@raises(TaskIncomplete, CheckRunning)
@blp.response(202, schemas.CheckResponse)
@audit.record_change()
def check_assessment(assessment_id):
    """Check an assessment's task

    Runs the hidden tests once on the repository and five times on the reference solution. Submissions are tested once
    the task is ready.
    """
    assessment = find(Assessment, assessment_id)
    return _check(queue.start_check(assessment.organization_id, assessment.id))


@blp.get("/issues/<id:issue_id>/tests/check")
@auth.required(ApiToken)
@blp.response(200, schemas.CheckResponse)
def get_issue_check(issue_id):
    """Get the latest check of an issue's task

    Names the tests that count, and the reason why the task is not ready.
    """
    return _check(or_not_found(TaskCheck.latest(find(Issue, issue_id, Issue.owned_by(caller)).id)))


@blp.post("/issues/<id:issue_id>/tests/check")
@auth.required(ApiToken, scope="write")
@idempotent
@raises(TaskIncomplete, CheckRunning)
@blp.response(202, schemas.CheckResponse)
@audit.record_change()
def check_issue(issue_id):
    """Check an issue's task

    Like the check of an assessment's task. Only your organization's issues can be checked.
    """
    issue = find(Issue, issue_id, Issue.owned_by(caller))
    return _check(queue.start_check(issue.organization_id, issue.id))


def _check(check: TaskCheck) -> dict[str, Any]:
    columns = {name: getattr(check, name) for name in schemas.TaskCheck().fields if name != "runs"}
    return {"check": columns | {"runs": list(TestRun.of_check(check))}}
