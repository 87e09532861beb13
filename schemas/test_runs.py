"""Test runs of submissions, and checks of tasks."""

from rules.hidden_tests import FAILED, MISSING, PASSED, SKIPPED
from schemas.base import Body, PageOf, Schema, define_response, define_schema
from schemas.fields import Choice, Flag, Id, Integer, ListOf, Nested, String
from schemas.timestamps import Timestamp

RUN_STATES = ("waiting", "running", "finished", "untrusted", "failed", "timed_out")
CHECK_STATES = ("running", "ready", "not_ready", "failed")
OUTCOMES = (PASSED, FAILED, SKIPPED, MISSING)
ENGINES = ("bubblewrap", "podman", "docker")
EXAMPLE_TEST = "tests.test_orders::test_no_order_is_lost"
STATE = Choice(
    RUN_STATES,
    "`untrusted`: the submission tried to fake the report. `failed`: the runner could not run the tests.",
    example="finished",
)
REASON = String(
    "Reason why the run did not finish, or why the last attempt failed.",
    example="The image does not exist.",
    null=True,
)


class RunTest(Schema):
    """A test's outcome in a run."""

    name = String("Name.", example=EXAMPLE_TEST)
    outcome = Choice(OUTCOMES, "`missing`: the run did not report it.", example="passed")
    duration_ms = Integer("Duration in ms.", example=12, null=True, attribute="durationMs")
    output = String(
        "End of the output, at most 16 KiB, with secrets masked. Null without one, and beyond 1 MiB in all. Omitted in "
        "lists.",
        null=True,
        optional=True,
    )


class RunRunner(Schema):
    """The runner of the latest attempt."""

    id = Id("Id of the runner's token.", attribute="runner_token_id")
    name = String("Name of the runner's machine.", example="runner-1", attribute="runner_name")
    engine = Choice(ENGINES, "Engine that isolated the run.", example="podman")


class RunResult(Schema):
    """The result of hidden tests."""

    state = STATE
    passed = Integer("Tests that passed.", example=9, null=True, attribute="passed_count")
    total = Integer("Tests that count.", example=12, null=True, attribute="total_count")
    is_complete = Flag("True if each test was reported exactly once.", example=True, null=True)
    in_process = Flag("True if the tests import the submission, which can then fake a result.", example=False)
    is_current = Flag("False if the tests were replaced or deleted after the run.", example=True)


class HiddenTests(RunResult):
    """The result of the hidden tests that a runner ran on the submission."""

    run_id = Id("Test run id.", attribute="id")
    source = Choice(["runner"], "Source of the result.", example="runner")


HIDDEN_TESTS = Nested(HiddenTests, "Result of the hidden tests; null without a run.", null=True)


class TestRun(RunResult):
    """A run of hidden tests on a submission."""

    id = Id("Unique id.")
    session_id = Id("Session id.")
    reason = REASON
    counts = Flag("True if results show this run.", example=True)
    submission_id = Id("Id of the submission.")
    submission_sha256 = String("SHA-256 of the submission.", example="e3b0c442" * 8)
    tests_id = Id("Id of the hidden tests.")
    tests_sha256 = String("SHA-256 of the hidden tests.", example="e3b0c442" * 8, attribute="tests.sha256")
    image = String("Image that the tests name; null without one.", example="python:3.12", null=True)
    image_digest = String("Digest of the image that was used.", example="sha256:" + "9f86d081" * 8, null=True)
    runner = Nested(RunRunner, "Runner; null before the first attempt.", null=True)
    attempts = Integer("Attempts.", example=1)
    created_at = Timestamp("Time when it was queued.")
    started_at = Timestamp("Start of the latest attempt.", null=True)
    finished_at = Timestamp("End.", null=True)
    tests = ListOf(RunTest, "Outcomes; null until the tests ran.", attribute="results", null=True)


TestRuns = define_schema(
    "TestRuns", "A session's runs, newest first.", PageOf, test_runs=ListOf(TestRun, "Runs.")
)
TestRunResponse = define_response("test_run", TestRun, "The run.")


class PassedTest(Schema):
    """A test, and the number of sessions that passed it."""

    name = String("Name.", example=EXAMPLE_TEST)
    passed = Integer("Sessions whose submission passed the test.", example=31)


class TestResults(Schema):
    """Results of an assessment's current hidden tests; empty if they are not ready."""

    tests = ListOf(PassedTest, "Tests that count.")
    runs = Integer("Sessions with a finished run of these tests.", example=47)
    outdated = Integer(
        "Closed, undecided sessions whose submission was not tested with these tests.", example=3
    )


class CohortRun(Body):
    """Confirmation of the number of runs."""

    runs = Integer("`outdated` from the test results.", min=0, max=100_000, required=True, example=0)


QueuedRuns = define_schema("QueuedRuns", "The runs are queued.", runs=Integer("Number of runs.", example=3))


class CheckRun(Schema):
    """A run of a check."""

    id = Id("Unique id.")
    purpose = Choice(["base", "reference"], "Files that were tested.", example="reference")
    state = STATE
    reason = REASON
    passed = Integer("Tests that passed.", example=12, null=True, attribute="passed_count")
    total = Integer("Reported tests.", example=12, null=True, attribute="total_count")
    finished_at = Timestamp("End.", null=True)


class TaskCheck(Schema):
    """A check of a task: its tests ran once on the repository, and five times on the reference solution."""

    id = Id("Unique id.")
    state = Choice(
        CHECK_STATES,
        "`ready`: the repository fails a test, and the reference solution passes all. `failed`: a runner could not run "
        "the tests.",
        example="ready",
    )
    names = ListOf(String(), "Tests that count.", example=[EXAMPLE_TEST], null=True)
    unstable = ListOf(
        String(),
        "Tests that don't count, because their outcomes on the reference solution differ.",
        example=[],
        null=True,
    )
    problem = String("Reason why the task is not ready.", null=True)
    is_current = Flag("True if none of the files has been replaced since.", example=True)
    created_at = Timestamp("Start.")
    finished_at = Timestamp("End.", null=True)
    runs = ListOf(CheckRun, "The six runs.")


CheckResponse = define_schema("CheckResponse", "The latest check.", check=Nested(TaskCheck, "The check."))
