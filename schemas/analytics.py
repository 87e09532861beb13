"""What a session's events say about how somebody worked, and what an organization's sessions say together."""

from marshmallow import fields, validate

from rules import phases, segments
from rules.cohorts import METRICS
from schemas import Filter, Id, Limit, Schema, Timestamp, described
from schemas.keys import STATUSES
from schemas.timeline import EVENT_ID, EventTime

METRIC_NAMES = [metric.name for metric in METRICS]
_PAUSE_MINUTES = phases.MAX_PAUSE_MS // 60_000


def _tokens(meaning: str, example: int) -> fields.Integer:
    return fields.Integer(
        allow_none=True, metadata=described(f"{meaning} Null where no answer reported it.", example)
    )


class Phase(Schema):
    """How much of a session was spent on one thing."""

    name = fields.String(metadata=described("The phase.", "reading", enum=list(phases.PHASES)))
    events = fields.Integer(metadata=described("Events of the phase.", 41))
    time_ms = fields.Integer(metadata=described("The time that led to these events.", 480000))
    share = fields.Float(
        allow_none=True, metadata=described("Its share of the active time; null without any.", 0.25)
    )
    pauses = fields.Integer(
        metadata=described(
            f"Pauses in it that were longer than {_PAUSE_MINUTES} minutes and count as that.", 1
        )
    )


class Stretch(Schema):
    """A part of a session: a sitting, or what one prompt led to."""

    event_id = fields.String(metadata=described("Its first event's id.", EVENT_ID))
    began_at = EventTime(attribute="start_ns", metadata=described("Its first event."))
    ended_at = EventTime(attribute="end_ns", metadata=described("Its last event."))
    duration_ms = fields.Integer(metadata=described("The time between them.", 3600000))
    events = fields.Integer(metadata=described("Events.", 310))
    prompts = fields.Integer(metadata=described("Prompts.", 9))
    changes = fields.Integer(metadata=described("Changes of files.", 24))
    commands = fields.Integer(metadata=described("Commands.", 31))
    failed_commands = fields.Integer(metadata=described("Commands that are known to have failed.", 2))
    first_prompt = fields.String(
        allow_none=True,
        metadata=described("Its first prompt, on one line.", "Why does the queue lose orders?"),
    )


class ToolUse(Schema):
    """A tool of an agent."""

    name = fields.String(metadata=described("Its name.", "Bash"))
    calls = fields.Integer(metadata=described("How many times it was called.", 31))


class ModelTokens(Schema):
    """Tokens as the client reports them: Codex's input has in it what was read from the cache, Claude's not."""

    input = fields.Integer(metadata=described("Input.", 1200))
    output = fields.Integer(metadata=described("Output.", 52000))
    cache_read = fields.Integer(attribute="cacheRead", metadata=described("Read from the cache.", 4100000))
    cache_write = fields.Integer(attribute="cacheWrite", metadata=described("Written to the cache.", 380000))


class ModelUse(Schema):
    """What was used of one model."""

    model = fields.String(metadata=described("The model.", "claude-opus-4-5-20251101"))
    responses = fields.Integer(metadata=described("Responses that reported their use.", 140))
    tokens = fields.Nested(ModelTokens, metadata=described("Tokens."))
    cost_usd = fields.Float(
        allow_none=True, metadata=described("What they cost; null without a price.", 6.42)
    )


class ProxyUse(Schema):
    """What the proxies saw of one model: tokens as its provider reported them, whatever the client's events say."""

    provider = fields.String(metadata=described("The provider.", "anthropic"))
    model = fields.String(
        allow_none=True,
        metadata=described("The model; null where no answer named one.", "claude-opus-4-5-20251101"),
    )
    calls = fields.Integer(metadata=described("Calls, failed ones included.", 142))
    input_tokens = _tokens("Input that was neither read from the cache nor written to it.", 1200)
    output_tokens = _tokens("Output.", 52000)
    cache_read_tokens = _tokens("Read from the cache.", 4100000)
    cache_write_tokens = _tokens("Written to the cache.", 380000)
    cost_usd = fields.Float(
        allow_none=True, metadata=described("What they cost; null without a price.", 6.42)
    )


class Check(Schema):
    """A command or test run that failed, or that ended an error episode."""

    event_id = fields.String(metadata=described("The event's id.", EVENT_ID))
    ts = EventTime(attribute="time_ns", metadata=described("When, by the candidate's clock."))
    command = fields.String(allow_none=True, metadata=described("The command, on one line.", "go test ./..."))
    output = fields.String(
        allow_none=True,
        metadata=described("Of a failure: the last lines of its output.", "FAIL queue 0.4s / FAIL"),
    )


class Episode(Schema):
    """An unbroken run of failures among what is known to have passed or failed, and how it ended.

    `fixed`: the same command passed next, or a verification of the same kind. `fixed_later`: something else passed
    next, that only later. `moved_on`: it was never seen to pass. `open`: nothing passed any more."""

    ending = fields.String(
        metadata=described("How it ended.", "fixed", enum=["fixed", "fixed_later", "moved_on", "open"])
    )
    failure_count = fields.Integer(metadata=described("How many failures.", 3))
    first_failure = fields.Nested(Check, metadata=described("The first failure."))
    last_failure = fields.Nested(Check, metadata=described("The last failure."))
    ended_by = fields.Nested(Check, allow_none=True, metadata=described("What passed next; null while open."))
    duration_ms = fields.Integer(
        allow_none=True, metadata=described("From the first failure to that.", 155950)
    )
    changes = fields.Integer(metadata=described("Changes of files in between.", 8))
    prompts = fields.Integer(metadata=described("Prompts in between.", 1))


class Analytics(Schema):
    """How the time of a session was spent, with which tools and models, and what went wrong.

    Late events have no part in it."""

    elapsed_ms = fields.Integer(metadata=described("First to last event.", 14400000))
    active_ms = fields.Integer(
        metadata=described("What of it counts, and the phases have shares of.", 7200000)
    )
    idle_ms = fields.Integer(metadata=described("What of it does not count.", 7200000))
    longest_pause_ms = fields.Integer(
        dump_default=phases.MAX_PAUSE_MS,
        metadata=described("What of a pause counts at most.", phases.MAX_PAUSE_MS),
    )
    longest_break_ms = fields.Integer(
        dump_default=segments.MAX_BREAK_MINUTES * 60_000,
        metadata=described(
            "A longer pause is a break between two sittings and does not count at all.",
            segments.MAX_BREAK_MINUTES * 60_000,
        ),
    )
    phases = fields.List(
        fields.Nested(Phase),
        metadata=described(
            "The time before an event belongs to the event's phase; the time before announcements, answers and plans "
            "goes on to the action that follows, or to `other` where a prompt follows."
        ),
    )
    sittings = fields.List(
        fields.Nested(Stretch), metadata=described("When somebody worked, without long breaks in between.")
    )
    turns = fields.List(
        fields.Nested(Stretch),
        metadata=described(
            "What each prompt led to, up to the next one; two agents at once run into each other."
        ),
    )
    tools = fields.List(fields.Nested(ToolUse), metadata=described("Tools, the most used first."))
    models = fields.List(fields.Nested(ModelUse), metadata=described("Models, by name."))
    total_cost_usd = fields.Float(
        allow_none=True, metadata=described("The cost of all models; null where one has no price.", 6.42)
    )
    proxy_usage = fields.List(
        fields.Nested(ProxyUse),
        metadata=described(
            "What passed the proxies of the models, late calls included; the same use is in `models` too where the "
            "client reported it."
        ),
    )
    error_episodes = fields.List(fields.Nested(Episode), metadata=described("Error episodes in order."))


# The organization


class OverviewQuery(Filter):
    """Whose numbers."""

    assessment_id = Id(metadata=described("Only candidates of this assessment."))


class Funnel(Schema):
    """How far candidates came; each number has the following one in it."""

    invited = fields.Integer(
        metadata=described("Candidates with a key that was not revoked before it was used.", 40)
    )
    redeemed = fields.Integer(metadata=described("Those of them who began.", 31))
    completed = fields.Integer(metadata=described("Those who completed, or were hired without.", 24))
    hired = fields.Integer(metadata=described("Those who were hired.", 3))


class Medians(Schema):
    """Medians over the closed sessions that have a value; null where none has."""

    duration_ms = fields.Integer(allow_none=True, metadata=described("First to last event, in ms.", 4320000))
    prompt_count = fields.Float(allow_none=True, metadata=described("Prompts.", 38.5))
    command_fail_rate = fields.Float(
        allow_none=True, metadata=described("Failed commands among those with a known exit code.", 0.142)
    )
    verify_intensity = fields.Float(
        allow_none=True, metadata=described("Verifications for each change.", 0.61)
    )
    manual_edit_ratio = fields.Float(allow_none=True, metadata=described("Changes made by hand.", 0.33))
    first_change_latency_ms = fields.Integer(
        allow_none=True, metadata=described("First event to first change, in ms.", 180000)
    )


class Numbers(Schema):
    """The funnel and the medians of a group of candidates."""

    funnel = fields.Nested(Funnel, metadata=described("How far they came."))
    medians = fields.Nested(Medians, metadata=described("How their sessions were."))


class AssessmentNumbers(Numbers):
    """The numbers of one assessment."""

    assessment_id = Id(metadata=described("The assessment."))
    assessment_title = fields.String(metadata=described("Its title.", "Backend API Challenge"))


class MonthNumbers(Numbers):
    """The numbers of those who were invited in one month, whenever they worked."""

    month = fields.String(metadata=described("The month of the invitation, in UTC.", "2026-04"))


class Overview(Numbers):
    """The numbers of the organization, without deleted assessments."""

    by_assessment = fields.List(
        fields.Nested(AssessmentNumbers), metadata=described("By assessment, oldest first.")
    )
    by_month = fields.List(fields.Nested(MonthNumbers), metadata=described("By month, oldest first."))


class TopQuery(Filter):
    """By which metric to sort, and how many to show."""

    metric = fields.String(
        required=True,
        validate=validate.OneOf(METRIC_NAMES),
        metadata=described(
            "The metric to sort by; the choice is yours.", "verifyIntensity", enum=METRIC_NAMES
        ),
    )
    limit = Limit(load_default=10, metadata=described("Maximum number of results; clamped to 1 to 200.", 10))
    assessment_id = Id(metadata=described("Only candidates of this assessment."))


class TopCandidate(Schema):
    """A candidate's value of the chosen metric."""

    session_id = Id(metadata=described("The session."))
    candidate_id = Id(metadata=described("The candidate key."))
    candidate_name = fields.String(allow_none=True, metadata=described("The candidate's name.", "Alice"))
    candidate_email = fields.String(
        allow_none=True, metadata=described("The candidate's address.", "alice@example.com")
    )
    assessment_id = Id(metadata=described("The assessment."))
    assessment_title = fields.String(metadata=described("Its title.", "Backend API Challenge"))
    status = fields.String(
        metadata=described("Where the candidate stands.", "completed", enum=list(STATUSES[1:]))
    )
    completed_at = Timestamp(allow_none=True, metadata=described("When the candidate completed."))
    value = fields.Raw(
        metadata=described("The value; times in ms, ratios with three decimals.", 1.25, type="number")
    )
    percentile = fields.Float(
        allow_none=True,
        metadata=described(
            "The share of the other sessions of the assessment that it beats; null for the only one.", 0.909
        ),
    )


class TopCandidates(Schema):
    """Closed sessions sorted by one metric, the highest percentile's sense first: high values, or low failure rates."""

    metric = fields.String(
        metadata=described("The metric that they are sorted by.", "verifyIntensity", enum=METRIC_NAMES)
    )
    candidates = fields.List(fields.Nested(TopCandidate), metadata=described("The candidates."))
