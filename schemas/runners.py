"""Runners: their tokens, jobs and results."""

from schemas import common
from schemas.base import Body, CursorPageOf, Deleted, Schema, define_schema
from schemas.fields import Choice, Dict, Flag, Id, Integer, Line, ListOf, Nested, String
from schemas.test_runs import ENGINES, EXAMPLE_TEST
from schemas.timestamps import Timestamp

MAX_WAIT_SECONDS = 20
_BUSY = "A busy service responds earlier: wait for the rest of the time before the next request."


class NewRunner(Body):
    """A new runner's token."""

    name = Line(255, "Name.", example="Test machine", required=True)


class Runner(Schema):
    """A runner's token, without its secret."""

    id = Id("Unique id.")
    name = String("Name.", example="Test machine")
    prefix = String("Prefix of all runners' tokens.", example="psr_")
    last_four = String("Last four characters.", example="x7Qa")
    is_alive = Flag("True if it was used within the last two minutes.", example=True)
    last_used_at = Timestamp("Time when it was last used, to the minute.", null=True)
    created_at = Timestamp("Time of creation.")


class ReplayedRunner(Schema):
    """The replayed response to creating a runner's token, without the secret."""

    runner = Nested(Runner, "The token's details.")
    note = common.REPLAY_NOTE


class CreatedRunner(Schema):
    """A new runner's token with its secret, which is returned only once."""

    replay_schema = ReplayedRunner

    runner = Nested(Runner, "The token's details.")
    secret = String("The secret, for the runner's `RUNNER_TOKEN`.", example="psr_" + "0" * 36)


Runners = define_schema(
    "Runners",
    "Runners' tokens, by default oldest first.",
    CursorPageOf,
    runners=ListOf(Runner, "The organization's tokens that are not revoked."),
    alive=Integer("Tokens of running runners, including those for all organizations.", example=1),
)
RevokedRunner = define_schema("RevokedRunner", "The token is revoked.", Deleted)


class Claim(Body):
    """A request for a job."""

    runner = Line(255, "Name of the runner's machine.", example="runner-1", required=True)
    engine = Choice(ENGINES, "Engine.", example="podman", required=True)
    wait_seconds = Integer(
        f"Maximum time to wait for a job. {_BUSY}", min=0, max=MAX_WAIT_SECONDS, load_default=0, example=0
    )


class JobFile(Schema):
    """An input of a job."""

    url = String("Path.", example="/v1/runner/jobs/01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01/inputs/work")
    format = Choice(["tar", "tar.gz", "zip"], "Format.", example="tar")


class JobInputs(Schema):
    """The inputs of a job."""

    work = Nested(JobFile, "The submission, or the repository.")
    tests = Nested(JobFile, "The hidden tests.")
    reference = Nested(JobFile, "Files to copy over `work`; null except for reference runs.", null=True)


class Job(Schema):
    """A claimed job."""

    id = Id("Id of the test run.")
    attempt = Integer("Number of the attempt, to send with its result.", example=1)
    purpose = Choice(["submission", "base", "reference"], "Files to test.", example="submission")
    lease_seconds = Integer("Time until another runner can claim the job, unless renewed.", example=60)
    settings = Dict("The tests' `tests.json`, with defaults.", example={"version": 1, "command": "make test"})
    inputs = Nested(JobInputs, "Files.")


ClaimedJob = define_schema("ClaimedJob", "The claimed job.", job=Nested(Job, "The job."))


class Heartbeat(Body):
    """A job's heartbeat."""

    attempt = Integer("The job's attempt.", min=1, max=1_000, required=True, example=1)


RenewedLease = define_schema(
    "RenewedLease", "The lease is renewed.", lease_seconds=Integer("Time until it expires.", example=60)
)


class ReportedTest(Body):
    """A test's outcome."""

    name = String("`classname::name` in the JUnit XML, or only `name`.", example=EXAMPLE_TEST, required=True)
    outcome = Choice(["passed", "failed", "skipped"], "Outcome.", example="passed", required=True)
    duration_ms = Integer("Duration in ms.", min=0, max=86_400_000, example=12)
    output = String("Output.", example="1 passed")


class JobResult(Heartbeat):
    """The result of a job."""

    # Untrusted text, which can contain NUL and lone surrogates.
    verbatim = ("tests", "reason")

    state = Choice(
        ["finished", "untrusted", "failed", "timed_out"],
        "`failed`: the runner could not run the tests; it is tried again, up to three times.",
        example="finished",
        required=True,
    )
    reason = String("Reason, unless finished.", load_default=None, example="The image does not exist.")
    tests = ListOf(ReportedTest, "Reported tests.", load_default=list)
    image_digest = Line(255, "Digest of the image.", load_default=None, example="sha256:" + "9f86d081" * 8)


RecordedResult = define_schema("RecordedResult", "The result is stored.", ok=common.ALWAYS_TRUE)
