"""Fields shared by several schemas. marshmallow copies them on use."""

from rules.hosted_tools import ALLOWABLE
from schemas.base import Schema
from schemas.fields import EXAMPLE_ID, Choice, Flag, Integer, ListOf, Number, String
from schemas.timestamps import EventTime, Timestamp

EXAMPLE_BRIEF = "Orders are lost when two arrive at the same time. Find out why, fix it, and add a test."
EXAMPLE_EVENT_ID = "0b4c5c1e-7b1f-4c55-9d57-1f3f7f8b7a01"
EXAMPLE_PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
EXAMPLE_REPOSITORY = "https://github.com/example/orders"
EXAMPLE_SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
AGENTS = ["claude", "codex"]
TOOLS = AGENTS + ALLOWABLE

ASSESSMENT_TITLE = String("Assessment name.", example="Backend API Challenge")
ROLE = String("Role being assessed.", example="Senior Backend Engineer")
ORG_NAME = String("Organization name.", example="Example Ltd")
CANDIDATE_NAME = String("Candidate's name.", example="Alice", null=True)
TESTS_PASSED_SOURCE = Choice(
    ["candidate", "team"],
    "Source of `testsPassed`: the last test run of the session, or the submitted test result.",
    example="candidate",
    null=True,
)
EXTERNAL_ID = String("Your own id for the candidate.", example="applicant-4711", null=True)
CANDIDATE_EMAIL = String("Candidate's email address.", example="alice@example.com", null=True)
TASK_READ_AT = Timestamp(
    "Time when the task was first read with the key before the start; null if it was not.", null=True
)
TASK_BRIEF = String("Task description for the candidate.", example=EXAMPLE_BRIEF)
REPO_URL = String("Repository URL.", example=EXAMPLE_REPOSITORY, null=True)
REPO_COMMIT = String("Commit to start from.", example=EXAMPLE_SHA, null=True)
REPO_SUBDIR = String("Directory to work in.", example="services/orders", null=True)
SETUP_INSTRUCTIONS = String("Setup instructions.", example="go mod download", null=True)
TIME_LIMIT_MINUTES = Integer("Time limit in minutes.", example=90, null=True)
ALLOWED_TOOLS = ListOf(
    Choice(TOOLS), "Allowed AI tools; null for Claude Code and Codex.", example=["claude"], null=True
)
SESSION_ID = String("Session id from the redeem response.", example=EXAMPLE_ID, required=True)
EVENT_ID = String("Event id.", example=EXAMPLE_EVENT_ID)
EVENT_TIME = EventTime("Time of the event, by the candidate's clock.", attribute="time_ns")
REPLAY_NOTE = String(
    "Explains why the secret is missing.",
    example="The secret was shown in the first response only. It is not stored and cannot be shown again.",
)
ALWAYS_TRUE = Flag("Always true.", example=True)


class Checkpoint(Schema):
    """The last entry of an organization's ledger at a time."""

    position = Integer("Position of the entry.", example=1200)
    head = String("Hash of the entry and all entries before it, in hex.", example="9f86d081" * 8)
    created_at = Timestamp("Time of the checkpoint.")


class MetricFields(Schema):
    """Metrics of a session, or the medians of several sessions."""

    duration_ms = Integer("First to last event, in ms.", example=4320000, null=True)
    command_fail_rate = Number(
        "Share of commands that failed; null if too few exit codes are known.", example=0.142, null=True
    )
    verify_intensity = Number("Verifications per change.", example=0.61, null=True)
    manual_edit_ratio = Number(
        "Share of attributed changes made or revised by the candidate. Only the candidate's client records these.",
        example=0.33,
        null=True,
    )
    first_change_latency_ms = Integer("First event to first change, in ms.", example=180000, null=True)
