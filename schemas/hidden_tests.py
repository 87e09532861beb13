"""Results of hidden tests."""

from schemas.base import Schema
from schemas.fields import Choice, Flag, Id, Integer, Nested

OUTCOMES = ("passed", "failed", "untrusted", "none")
RUN_STATES = ("waiting", "running", "finished", "untrusted", "failed", "timed_out")


class HiddenTests(Schema):
    """Result of the hidden tests that a runner ran on the submission."""

    state = Choice(RUN_STATES, "State of the run.", example="finished")
    passed = Integer("Number of tests that passed.", example=9, null=True)
    total = Integer("Number of tests.", example=12, null=True)
    is_complete = Flag("True if each test has exactly one outcome.", example=True, null=True)
    in_process = Flag(
        "True if the tests import the submission, which can then affect the result.", example=False
    )
    is_current = Flag("False if the hidden tests were replaced or deleted after the run.", example=True)
    run_id = Id("Test run id.")
    source = Choice(["runner"], "Source of the result.", example="runner")


HIDDEN_TESTS = Nested(HiddenTests, "Result of the hidden tests; null without a run.", null=True)
