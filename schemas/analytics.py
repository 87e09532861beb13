"""Analytics for one session, and for an organization's sessions."""

from rules.metrics import commands, phases, segments
from rules.statistics.cohorts import DIRECTIONS, METRICS
from schemas import common
from schemas.base import Schema
from schemas.fields import Choice, Flag, Id, Integer, ListOf, Nested, Number, Raw, String
from schemas.keys import SESSION_STATUSES
from schemas.queries import Filter, Limit
from schemas.timestamps import EventTime, Timestamp

ORDERS = ("asc", "desc")
METRIC_NAMES = [metric.name for metric in METRICS]
MAX_PAUSE_MS = phases.MAX_PAUSE_MS
MAX_BREAK_MS = segments.MAX_GAP_MINUTES * 60_000
COST_USD = Number("Cost in USD; null without a price.", example=6.42, null=True)


class Phase(Schema):
    """Share of a session spent on one kind of work."""

    name = Choice(phases.PHASES, "Phase.", example="reading")
    events = Integer("Events of the phase.", example=41)
    time_ms = Integer("Time spent in the phase, in ms.", example=480000)
    share = Number("Share of the active time; null without active time.", example=0.25, null=True)
    pauses = Integer(f"Pauses over {MAX_PAUSE_MS // 60_000} minutes, which are capped at that.", example=1)


class PhaseSpan(Schema):
    """Uninterrupted time in one phase."""

    name = Choice(phases.PHASES, "Phase.", example="reading")
    began_at = EventTime("Start.", attribute="start_ns")
    ended_at = EventTime("End.", attribute="end_ns")


class Verification(Schema):
    """A test, check or build: a recognized command, a `test_run` or a `build_run`."""

    event_id = common.EVENT_ID
    ts = EventTime("Event time.", attribute="time_ns")
    kind = Choice(commands.KINDS, "Kind of verification.", example="test")
    passed = Flag("True if it passed; null if unknown.", example=False, null=True)


class Segment(Schema):
    """Part of a session: a work period, or the work after one prompt."""

    event_id = String("Id of the first event.", example=common.EXAMPLE_EVENT_ID)
    began_at = EventTime("Time of the first event.", attribute="start_ns")
    ended_at = EventTime("Time of the last event.", attribute="end_ns")
    duration_ms = Integer("Time between them, in ms.", example=3600000)
    events = Integer("Number of events.", example=310)
    prompts = Integer("Number of prompts.", example=9)
    changes = Integer("Number of file changes.", example=24)
    commands = Integer("Number of commands.", example=31)
    failed_commands = Integer("Number of commands known to have failed.", example=2)
    first_prompt = String("First prompt, on one line.", example="Why does the queue lose orders?", null=True)


class ToolUse(Schema):
    """Calls to one of an agent's tools."""

    name = String("Tool.", example="Bash")
    calls = Integer("Number of calls.", example=31)


class ModelTokens(Schema):
    """Tokens as reported by the client. Codex includes cache reads in the input; Claude does not."""

    input = Integer("Input tokens.", example=1200)
    output = Integer("Output tokens.", example=52000)
    cache_read = Integer("Tokens read from the cache.", attribute="cacheRead", example=4100000)
    cache_write = Integer("Tokens written to the cache.", attribute="cacheWrite", example=380000)


class ModelUse(Schema):
    """Usage of one model."""

    model = String("Model.", example="claude-opus-4-5-20251101")
    responses = Integer("Responses that reported their usage.", example=140)
    tokens = Nested(ModelTokens, "Tokens.")
    cost_usd = COST_USD


class ProxyUse(Schema):
    """Usage of one model through the proxies. Tokens are the provider's; null if no response reported any."""

    provider = Choice(["anthropic", "openai"], "Provider.", example="anthropic")
    model = String("Model; null if no response named one.", example="claude-opus-4-5-20251101", null=True)
    calls = Integer("Number of calls, including failed ones.", example=142)
    input_tokens = Integer("Input tokens, without cached tokens.", example=1200, null=True)
    output_tokens = Integer("Output tokens.", example=52000, null=True)
    cache_read_tokens = Integer("Tokens read from the cache.", example=4100000, null=True)
    cache_write_tokens = Integer("Tokens written to the cache.", example=380000, null=True)
    cost_usd = Number(
        "Cost in USD; tokens without a price cost the provider's highest listed price. Null without tokens.",
        example=6.42,
        null=True,
    )


class Check(Schema):
    """A command or test run that failed, or that ended an error episode."""

    event_id = common.EVENT_ID
    ts = common.EVENT_TIME
    command = String("Command, on one line.", example="go test ./...", null=True)
    output = String("Last lines of a failure's output.", example="FAIL queue 0.4s / FAIL", null=True)


class Episode(Schema):
    """A run of failures without a success in between, and its outcome.

    `fixed`: the next success was the same command or a verification of the same kind. `fixed_later`: something else
    succeeded first. `moved_on`: only something else succeeded. `open`: no success followed."""

    ending = Choice(["fixed", "fixed_later", "moved_on", "open"], "Outcome.", example="fixed")
    failure_count = Integer("Number of failures.", example=3)
    first_failure = Nested(Check, "First failure.")
    last_failure = Nested(Check, "Last failure.")
    ended_by = Nested(Check, "Next success; null while open.", null=True)
    duration_ms = Integer("From the first failure to that success, in ms.", example=155950, null=True)
    changes = Integer("File changes in between.", example=8)
    prompts = Integer("Prompts in between.", example=1)


class Analytics(Schema):
    """Time, tools, models and failures of a session, excluding late events.

    The time before an event counts toward the event's phase. The time before an announcement, response or plan counts
    toward the phase of the next action, or toward `other` if a prompt comes first."""

    elapsed_ms = Integer("First to last event, in ms.", example=14400000)
    active_ms = Integer("Counted time, the sum of all phases, in ms.", example=7200000)
    idle_ms = Integer("Time that is not counted, in ms.", example=7200000)
    longest_pause_ms = Integer("Cap on a pause, in ms.", dump_default=MAX_PAUSE_MS, example=MAX_PAUSE_MS)
    longest_break_ms = Integer(
        "Longer pauses end a work period.", dump_default=MAX_BREAK_MS, example=MAX_BREAK_MS
    )
    phases = ListOf(Phase, "Phases.")
    phase_spans = ListOf(
        PhaseSpan, "The phases in order of time. Breaks between work periods are in none, other pauses are."
    )
    verifications = ListOf(Verification, "Verifications in order.")
    work_periods = ListOf(Segment, "Periods of work without long breaks.")
    turns = ListOf(Segment, "Work after each prompt, up to the next one; concurrent agents overlap.")
    tools = ListOf(ToolUse, "Tools, most used first.")
    models = ListOf(ModelUse, "Models, by name.")
    total_cost_usd = Number("Cost of all models in USD; null if one has no price.", example=6.42, null=True)
    proxy_usage = ListOf(ProxyUse, "Usage through the model proxies; overlaps with `models`.")
    error_episodes = ListOf(Episode, "Error episodes in order.")


class OverviewQuery(Filter):
    """Filter for the overview."""

    assessment_id = Id("Only candidates of this assessment.")


class Funnel(Schema):
    """Number of candidates by progress; each count includes the next one."""

    invited = Integer("Candidates whose key was not revoked before its use.", example=40)
    redeemed = Integer("Candidates who started.", example=31)
    completed = Integer("Candidates who completed or were hired.", example=24)
    reviewed = Integer(
        "Of these, candidates with a score of every criterion or with a decision other than `undecided`.",
        example=20,
    )
    hired = Integer("Candidates who were hired.", example=3)


class Medians(Schema):
    """Medians over closed sessions that have a value; null if there are none."""

    duration_ms = Integer("First to last event, in ms.", example=4320000, null=True)
    prompt_count = Number("Number of prompts.", example=38.5, null=True)
    command_fail_rate = Number("Share of commands that failed.", example=0.142, null=True)
    verify_intensity = Number("Verifications per change.", example=0.61, null=True)
    manual_edit_ratio = Number(
        "Share of attributed changes that the candidate made or revised.", example=0.33, null=True
    )
    first_change_latency_ms = Integer("First event to first change, in ms.", example=180000, null=True)


class GroupStatistics(Schema):
    """Funnel and medians of a group of candidates."""

    funnel = Nested(Funnel, "Number of candidates by progress.")
    medians = Nested(Medians, "Medians of their sessions.")


class AssessmentStatistics(GroupStatistics):
    """Funnel and medians of one assessment."""

    assessment_id = Id("Assessment id.")
    assessment_title = common.ASSESSMENT_TITLE


class MonthStatistics(GroupStatistics):
    """Funnel and medians of the candidates invited in one month."""

    month = String("Month of the invitation, in UTC.", example="2026-04")


class Overview(GroupStatistics):
    """Funnel and medians of the organization, excluding deleted assessments."""

    by_assessment = ListOf(AssessmentStatistics, "By assessment, oldest first.")
    by_month = ListOf(MonthStatistics, "By month, oldest first.")


class ReviewBacklog(Schema):
    """Work waiting for reviewers. Excludes erased candidates and those with a hiring decision."""

    to_score = Integer("Closed sessions in which no one has scored some criterion of the rubric.", example=3)
    disagreements = Integer(
        "Sessions with a criterion whose scores are 2 levels or more apart; for a person, only sessions that they "
        "have scored.",
        example=1,
    )
    failed_messages = Integer(
        "Invitations and reminders that could not be delivered, while the key is open.", example=2
    )


class AssessmentProgress(Schema):
    """Funnel of one assessment, and the work waiting for its reviewers."""

    assessment_id = Id("Assessment id.")
    funnel = Nested(Funnel, "Number of candidates by progress.")
    waiting = Nested(ReviewBacklog, "Work that is waiting for reviewers.")


class Progress(Schema):
    """Progress of the assessments."""

    assessments = ListOf(AssessmentProgress, "Assessments with candidates, oldest first.")


class TopQuery(Filter):
    """Sort metric and filter."""

    metric = Choice(METRIC_NAMES, "Metric to sort by.", required=True)
    order = Choice(
        ORDERS, "Lowest values first, or highest first. The default is `desc`, for `commandFailRate` `asc`."
    )
    limit = Limit(10)
    assessment_id = Id("Only candidates of this assessment.")


class TopCandidate(Schema):
    """A candidate's value for the chosen metric."""

    session_id = Id("Session id.")
    candidate_id = Id("Id of the candidate key.")
    external_id = common.EXTERNAL_ID
    candidate_name = common.CANDIDATE_NAME
    candidate_email = common.CANDIDATE_EMAIL
    assessment_id = Id("Assessment id.")
    assessment_title = common.ASSESSMENT_TITLE
    status = Choice(SESSION_STATUSES, "Status of the candidate.", example="completed")
    completed_at = Timestamp("Time when the candidate completed.", null=True)
    value = Raw("number", "Value: times in ms, ratios with three decimals.", example=1.25)
    percentile = Number(
        "Share of the other sessions with a lower value, for `commandFailRate` with a higher one; null without any.",
        example=0.909,
        null=True,
    )


class TopCandidates(Schema):
    """Closed sessions sorted by one metric."""

    metric = Choice(METRIC_NAMES, "Sort metric.", example="verifyIntensity")
    order = Choice(ORDERS, "Order of the values.", example="desc")
    direction = Choice(DIRECTIONS, "Preferred direction of values.", example="higher_is_better")
    candidates = ListOf(TopCandidate, "Candidates.")
