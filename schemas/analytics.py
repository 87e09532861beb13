"""Analytics for one session, and for an organization's sessions."""

from rules.metrics import commands, phases, segments
from schemas import common
from schemas.base import Schema
from schemas.fields import Choice, Dollars, Flag, Id, Integer, ListOf, Nested, Number, String
from schemas.queries import Filter
from schemas.timestamps import EventTime

MAX_PAUSE_MS = phases.MAX_PAUSE_MS
MAX_BREAK_MS = segments.MAX_GAP_MINUTES * 60_000


class Phase(Schema):
    """Time spent on one kind of work."""

    name = Choice(phases.PHASES, "Phase.", example="reading")
    events = Integer("Number of events.", example=41)
    time_ms = Integer("Time spent in the phase, in ms.", example=480000)
    share = Number("Share of active time; null without active time.", example=0.25, null=True)
    pauses = Integer(f"Number of pauses that were capped at {MAX_PAUSE_MS // 60_000} minutes.", example=1)


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
    passed = Flag(
        "True if the verification passed; null if unknown, or if no test ran.", example=False, null=True
    )


class Segment(Schema):
    """Part of a session: a work period, or the work after one prompt."""

    event_id = String("First event's id.", example=common.EXAMPLE_EVENT_ID)
    began_at = EventTime("Time of the first event.", attribute="start_ns")
    ended_at = EventTime("Time of the last event.", attribute="end_ns")
    duration_ms = Integer("First to last event, in ms.", example=3600000)
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
    cost_usd = Dollars("Cost; null without a price.", attribute="cost_nano_usd", example=6.42, null=True)


class ProxyUse(Schema):
    """Usage of one model through the proxies. Token counts are from the provider; null if no response reported any."""

    provider = Choice(["anthropic", "openai"], "Provider.", example="anthropic")
    model = String("Model; null if no response named one.", example="claude-opus-4-5-20251101", null=True)
    calls = Integer("Number of calls, including failed ones.", example=142)
    input_tokens = Integer("Input tokens, excluding cached tokens.", example=1200, null=True)
    output_tokens = Integer("Output tokens.", example=52000, null=True)
    cache_read_tokens = Integer("Tokens read from the cache.", example=4100000, null=True)
    cache_write_tokens = Integer("Tokens written to the cache.", example=380000, null=True)
    cost_usd = Dollars(
        "Cost in USD; null without token counts. Tokens without a price cost the provider's highest listed price.",
        attribute="cost_nano_usd",
        example=6.42,
        null=True,
    )


class Check(Schema):
    """A command or test run that failed, or that ended an error episode."""

    event_id = String("Event id.", attribute="id", example=common.EXAMPLE_EVENT_ID)
    ts = common.EVENT_TIME
    command = String("Command, on one line.", attribute="subject", example="go test ./...", null=True)
    output = String(
        "Last lines of a failure's output.",
        attribute="failure_output",
        example="FAIL queue 0.4s / FAIL",
        null=True,
    )


class Episode(Schema):
    """Consecutive failures, and their outcome.

    `fixed`: the same command or the same kind of verification succeeded next. `fixed_later`: something else succeeded
    first. `moved_on`: only something else succeeded. `open`: no success followed."""

    ending = Choice(["fixed", "fixed_later", "moved_on", "open"], "Outcome.", example="fixed")
    failure_count = Integer("Number of failures.", example=3)
    first_failure = Nested(Check, "First failure.")
    last_failure = Nested(Check, "Last failure.")
    ended_by = Nested(Check, "Next success; null while open.", null=True)
    duration_ms = Integer("First failure to next success, in ms.", example=155950, null=True)
    changes = Integer("Number of file changes.", example=8)
    prompts = Integer("Number of prompts.", example=1)


class Analytics(Schema):
    """A session's time, tools, models and failures, excluding late events.

    The time before an event counts toward the event's phase. The time before an announcement, response or plan counts
    toward the phase of the next action, or toward `other` if a prompt comes first."""

    elapsed_ms = Integer("First to last event, in ms.", example=14400000)
    active_ms = Integer("Active time: the sum of all phases, in ms.", example=7200000)
    idle_ms = Integer("Idle time, in ms.", example=7200000)
    longest_pause_ms = Integer(
        "Maximum active time per pause, in ms.", dump_default=MAX_PAUSE_MS, example=MAX_PAUSE_MS
    )
    longest_break_ms = Integer(
        "Longest pause within a work period, in ms.", dump_default=MAX_BREAK_MS, example=MAX_BREAK_MS
    )
    phases = ListOf(Phase, "Phases.")
    phase_spans = ListOf(PhaseSpan, "Phases in chronological order, excluding breaks between work periods.")
    verifications = ListOf(Verification, "Verifications in chronological order.")
    work_periods = ListOf(Segment, "Work periods, separated by long breaks.")
    turns = ListOf(Segment, "Work from each prompt to the next. Concurrent agents overlap.")
    tools = ListOf(ToolUse, "Tools, most used first.")
    models = ListOf(ModelUse, "Models, by name.")
    total_cost_usd = Dollars(
        "Total cost in USD; null if a model has no price.",
        attribute="total_cost_nano_usd",
        example=6.42,
        null=True,
    )
    proxy_usage = ListOf(ProxyUse, "Usage through the model proxies. Overlaps with `models`.")
    error_episodes = ListOf(Episode, "Error episodes in chronological order.")


class OverviewQuery(Filter):
    """Overview filter."""

    assessment_id = Id("Only candidates for this assessment.")


class Funnel(Schema):
    """Number of candidates by stage. Each count includes the next one."""

    invited = Integer("Candidates, excluding keys that were revoked before use.", example=40)
    redeemed = Integer("Candidates who started.", example=31)
    completed = Integer("Candidates who completed or were hired.", example=24)
    reviewed = Integer(
        "Completed candidates with a score for every criterion or with a decision other than `undecided`.",
        example=20,
    )
    hired = Integer("Candidates who were hired.", example=3)


class Medians(common.MetricFields):
    """Medians of closed sessions, excluding sessions without a value; null if none has a value."""

    prompt_count = Number("Number of prompts.", example=38.5, null=True)


class GroupStatistics(Schema):
    """Funnel and medians for a group of candidates."""

    funnel = Nested(Funnel, "Number of candidates by stage.")
    medians = Nested(Medians, "Medians of their sessions.")


class AssessmentStatistics(GroupStatistics):
    """Funnel and medians for one assessment."""

    assessment_id = Id("Assessment id.")
    assessment_title = common.ASSESSMENT_TITLE


class MonthStatistics(GroupStatistics):
    """Funnel and medians for candidates invited in one month."""

    month = String("Month of invitation, in UTC.", example="2026-04")


class Overview(GroupStatistics):
    """Funnel and medians for the organization, excluding deleted assessments."""

    by_assessment = ListOf(AssessmentStatistics, "By assessment, oldest first.")
    by_month = ListOf(MonthStatistics, "By month, oldest first.")


class ReviewBacklog(Schema):
    """Pending work for reviewers, excluding erased candidates and candidates with a hiring decision."""

    to_score = Integer("Closed sessions with at least one unscored criterion.", example=3)
    disagreements = Integer(
        "Sessions with scores 2 or more levels apart for a criterion, if they are visible to the caller.",
        example=1,
    )
    failed_messages = Integer("Failed invitations and reminders for open keys.", example=2)


class AssessmentProgress(Schema):
    """One assessment's funnel and pending work."""

    assessment_id = Id("Assessment id.")
    funnel = Nested(Funnel, "Number of candidates by stage.")
    waiting = Nested(ReviewBacklog, "Pending work for reviewers.")


class Progress(Schema):
    """Progress across all assessments."""

    assessments = ListOf(AssessmentProgress, "Assessments with candidates, oldest first.")
