"""Test runs of submissions."""

from access import audit, auth, etags, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find, page, with_location
from errors import Erased, NoSubmission, RunCountChanged, RunPending, TaskNotReady
from models import ApiToken, Assessment, Session, TestRun
from models.tasks import queue
from schemas import test_runs as schemas
from schemas.queries import PageQuery

blp = Blueprint("Test runs", __name__, description="Runs of hidden tests on submissions.")


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
@raises(Erased, NoSubmission, RunPending, TaskNotReady)
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
