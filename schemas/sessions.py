"""Sessions, for reviewers and for the candidate."""

from rules.events.recorded_events import CHANNELS, CLIENT
from rules.statistics.fairness import DECISIONS
from schemas import common
from schemas.base import Author, Body, Schema
from schemas.common import Checkpoint
from schemas.fields import Choice, Dict, Flag, Id, Integer, ListOf, Nested, Number, String, Text, Verbatim
from schemas.keys import FINDING_REASON, SESSION_STATUSES
from schemas.submissions import Submission
from schemas.test_runs import HIDDEN_TESTS, HiddenTests
from schemas.timestamps import Timestamp

MAX_TESTS = 2**31 - 1
EXAMPLE_TOKENS = {"input": 1200, "output": 52000, "cacheRead": 4100000, "cacheWrite": 380000}


class SessionBase(Schema):
    """Fields of all sessions."""

    id = Id("Unique id.")
    assessment_id = Id("Assessment id.")
    candidate_id = Id("Candidate key id.")
    key_id = Id("Equal to `candidateId`.")
    org_name = common.ORG_NAME
    assessment_title = common.ASSESSMENT_TITLE
    status = Choice(SESSION_STATUSES, "Current status.", example="active")
    redeemed_at = Timestamp("Time when the session started.")
    closes_at = Timestamp("End of the time limit, plus 5 minutes of grace.", null=True)
    closed_at = Timestamp("Time when the session closed.", null=True)
    completed_at = Timestamp("Time when the candidate completed.", null=True)
    updated_at = Timestamp("Time of the last change to state, metrics or test result.")


class Session(SessionBase):
    """A session. All fields are at the top level, where the candidate's client expects them."""

    task_read_at = common.TASK_READ_AT
    event_count = Integer("Events that count.", example=214)
    duplicate_event_count = Integer(
        "Duplicates of calls that a preferred channel or the client also recorded.", example=0
    )
    late_event_count = Integer("Events that arrived too late to count.", example=0)
    retained_until = Timestamp("Time when personal data will be erased, if ever.", null=True)
    checkpoint = Nested(
        Checkpoint, "Checkpoint that covers the close; null until ten minutes after the close.", null=True
    )
    erasure_requested_at = Timestamp("Time when the candidate requested erasure.", null=True)
    submission = Nested(
        Submission,
        "The submission that counts: the latest readable git bundle or zip archive, or the client's latest "
        "verified bundle. Null without one.",
        null=True,
    )


class TokenCounts(Schema):
    """One model's tokens, as reported by the client."""

    input = Integer("Input tokens.", example=1200)
    output = Integer("Output tokens.", example=52000)
    cache_read = Integer("Tokens read from the cache.", example=4100000)
    cache_write = Integer("Tokens written to the cache.", example=380000)


class SessionMetrics(common.MetricFields):
    """A session's metrics (docs/metrics.md). Ratios have three decimals."""

    prompt_count = Integer("Number of prompts.", example=38)
    recorded_line_ratio = Number(
        "Share of the final diff's added lines that a recorded agent change added; null without a git bundle that "
        "contains the assessment's commit.",
        example=0.8,
        null=True,
    )
    tests_passed = Flag("True if the tests passed; null if unknown.", example=True, null=True)
    tests_passed_source = common.TESTS_PASSED_SOURCE
    command_count = Integer("Number of commands.", example=52)
    file_change_count = Integer("Number of file changes.", example=41)
    unique_files_touched = Integer("Number of changed files.", example=9)
    test_run_count = Integer("Number of test runs.", example=14)
    decision_count = Integer("Number of design decisions.", example=3)
    error_episodes = Integer("Number of error episodes.", example=4)
    tool_usage = Dict("Calls by tool.", values=Integer(), example={"Bash": 31})
    tokens = Dict(
        "Tokens by model.", values=Nested(TokenCounts), example={"claude-opus-4-5-20251101": EXAMPLE_TOKENS}
    )
    total_cost_usd = Number("Cost in USD; null if a model has no price.", example=6.42, null=True)
    ai_attribution_pct = Number("Percentage of changes made by AI.", example=66.7, null=True)
    derivation_version = Integer("Version of the metric definitions.", example=2)


class TestResult(Body):
    """Result of tests on the candidate's work."""

    passed = Integer("Number of tests that passed.", min=0, max=MAX_TESTS, example=41, required=True)
    failed = Integer("Number of tests that failed.", min=0, max=MAX_TESTS, example=0, required=True)
    skipped = Integer("Number of tests that were skipped.", min=0, max=MAX_TESTS, example=1, null=True)
    note = Text(2000, "Note about the run.", example="Node 22, clean clone", null=True)


class SubmittedTestResult(TestResult):
    """Submitted result of tests on the candidate's work."""

    source = Choice(["team"], "Source of the result.", example="team", required=True)


class ChannelCoverage(Schema):
    """A channel that recorded events."""

    channel = Choice([CLIENT, *CHANNELS], "Channel; `client` is the candidate's client.", example="proxy")
    events = Integer("Number of events, including duplicates.", example=214)
    prompts = Integer("Prompts that the channel recorded.", example=12)
    commands = Integer("Commands that the channel recorded.", example=31)
    changes = Integer("File changes that the channel recorded.", example=17)
    first_at = Timestamp("Time when the first event arrived.")
    last_at = Timestamp("Time when the last event arrived.")


class ModelCallCoverage(Schema):
    """Successful calls through the model proxy."""

    total = Integer("Number of calls.", example=41)
    content_recorded = Integer("Calls whose events were all stored.", example=41)


class ToolCoverage(Schema):
    """A tool that the candidate used."""

    tool = String("Tool or other event source.", example="claude-code")
    prompts = Integer("Prompts that count.", example=12)
    commands = Integer("Commands that count.", example=31)
    changes = Integer("File changes that count.", example=17)
    first_at = Timestamp("Time when the first event arrived.")
    last_at = Timestamp("Time when the last event arrived.")


class AgentSessionCoverage(Schema):
    """An agent session that hooks, telemetry or the proxy recorded."""

    agent_session = String("The tool's session id.", example="0d9f0a54-7c1c-4b8e-9a5e-2f0a4c1b7d11")
    tool = String("Tool.", example="claude-code", null=True)
    channels = ListOf(Choice(CHANNELS), "Channels that recorded the session.", example=["http-hook", "proxy"])
    one_channel_only = Flag("True if only one channel recorded the session.", example=False)
    events = Integer("Number of events.", example=214)
    first_at = Timestamp("Time when the first event arrived.")
    last_at = Timestamp("Time when the last event arrived.")


class CoverageGap(Schema):
    """A period of more than 10 minutes without an event."""

    started_at = Timestamp("Time when the last event before the gap arrived.")
    ended_at = Timestamp("Time when the next event arrived.")


class Coverage(Schema):
    """Channels, tools and agent sessions that recorded a session, excluding late events. At most 200 entries each."""

    metrics_from = Choice(
        [CLIENT, "channels"],
        "Events that the metrics are computed from: the client's, or all other channels'. Null without events.",
        example="channels",
        null=True,
    )
    model_calls = Nested(ModelCallCoverage, "Calls through the model proxy.")
    channels = ListOf(ChannelCoverage, "Channels, by first event.")
    tools = ListOf(ToolCoverage, "Tools, by first event.")
    agent_sessions = ListOf(AgentSessionCoverage, "Agent sessions, by first event.")
    gaps = ListOf(CoverageGap, "Gaps in chronological order.")


class ReviewedSession(Session):
    """A session with additional fields for reviewers. Responses to candidates omit them."""

    blind = Flag(
        "True if names are hidden from people who have not scored the session.",
        example=False,
        optional=True,
    )
    external_id = String("Your own id for the candidate.", null=True, optional=True)
    candidate_name = String("Candidate's name.", example="Alice", null=True, optional=True)
    candidate_email = String("Candidate's address.", example="alice@example.com", null=True, optional=True)
    hired_at = Timestamp("Time when the candidate was marked as hired.", null=True, optional=True)
    metrics = Verbatim(SessionMetrics, "Metrics; null while the session is open.", null=True, optional=True)
    coverage = Nested(Coverage, "Recorded channels, tools and agent sessions.", optional=True)
    erased_at = Timestamp("Time when personal data was erased.", null=True, optional=True)
    test_result = Nested(SubmittedTestResult, "Submitted test result.", null=True, optional=True)
    hidden_tests = Nested(HiddenTests, "Result of the hidden tests.", null=True, optional=True)
    decision = Choice(DECISIONS, "Latest hiring decision.", example="advanced", optional=True)
    decision_reason = String(
        "Reason for the decision.", example="Careful, well-tested fix.", null=True, optional=True
    )
    decision_finding_reason = String(
        FINDING_REASON, example="The result was reproduced.", null=True, optional=True
    )
    decided_at = Timestamp("Time of the decision; null before the first.", null=True, optional=True)
    decided_by = Nested(
        Author, "Person or service account that decided; null if unknown.", null=True, optional=True
    )


class SessionSummary(SessionBase):
    """A session without metrics. `closedAt` is null until the close is recorded."""

    external_id = common.EXTERNAL_ID
    candidate_name = common.CANDIDATE_NAME
    candidate_email = common.CANDIDATE_EMAIL
    hired_at = Timestamp("Time when the candidate was marked as hired.", null=True)
    test_result = Nested(SubmittedTestResult, "Submitted test result.", null=True)
    hidden_tests = HIDDEN_TESTS
