"""Test runs, and checks of tasks."""

from schemas.base import Schema
from schemas.fields import Choice, Flag, Id, Integer

RUN_STATES = ("waiting", "running", "finished", "untrusted", "failed", "timed_out")
IN_PROCESS = "True if the tests import the submission, which could then fake results. Null after an erasure."


class HiddenTests(Schema):
    """The result of the hidden tests: the newest run that ended on the submission that counts."""

    state = Choice(
        RUN_STATES,
        "`untrusted`: the submission faked the report. `failed`: the runner could not run the tests.",
        example="finished",
    )
    passed = Integer("Passed tests; null until they ran.", example=9, null=True)
    total = Integer("Tests that count; null until they ran.", example=12, null=True)
    is_complete = Flag(
        "True if each test has exactly one outcome; null until they ran.", example=True, null=True
    )
    in_process = Flag(IN_PROCESS, example=False, null=True)
    is_current = Flag(
        "True if the tests are the current ones. Null after an erasure.", example=True, null=True
    )
    run_id = Id("Test run id; null after an erasure.", null=True)
    source = Choice(["runner"], "Always `runner`.", example="runner")
