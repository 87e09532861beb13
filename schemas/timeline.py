"""A session's events, decisions, artifacts and recent activity."""

from typing import Any

import marshmallow as ma

from rules import moments
from rules.cursors import EventCursor
from rules.events.recorded_events import CHANNELS, CLIENT
from rules.metrics import commands
from schemas import common, queries
from schemas.base import PageOf, Schema, define_schema
from schemas.candidate_session import Envelope
from schemas.common import EXAMPLE_EVENT_ID
from schemas.fields import (
    Choice,
    Dict,
    DocumentedField,
    Flag,
    Id,
    Integer,
    Line,
    ListOf,
    Nested,
    String,
    Verbatim,
)
from schemas.keys import SESSION_STATUSES
from schemas.queries import CREATED_AFTER, UPDATED_AFTER, Filter, Limit, PageQuery, QueryInteger
from schemas.sessions import SessionSummary
from schemas.timestamps import EventTime, Timestamp, TimestampInput

EXAMPLE_CURSOR = "1775034000123456789.42"
MAX_FILTER_CHARACTERS = 2000

SOURCE = String("Tool that reported the event.", example="claude-code", null=True)
ACTOR = String("Actor.", example="ai", null=True)
ATTRIBUTION = String("Likely author.", example="likely_ai", null=True)
LATE = Flag("True if the event arrived too late to count in the metrics.", example=False)
CHANNEL = Choice(CHANNELS, "Channel of the event; null for the client.", example="proxy", null=True)
COUNTS = Flag(
    "True if the event counts in the metrics. Late events, duplicates and context do not.", example=True
)


class SessionQuery(PageQuery):
    """Session filter."""

    assessment_id = Id("Only sessions for this assessment.")
    status = Choice(SESSION_STATUSES, "Only sessions with this status.")
    external_id = Line(255, "Only sessions whose candidate has this `externalId`.")
    redeemed_from = TimestampInput("Only sessions started from this time on.", data_key="from", round_up=True)
    redeemed_to = TimestampInput("Only sessions started before this time.", data_key="to", round_up=True)
    created_after = CREATED_AFTER
    updated_after = UPDATED_AFTER


Sessions = define_schema(
    "Sessions", "Sessions, oldest first.", PageOf, sessions=ListOf(SessionSummary, "Sessions.")
)


class After(queries.After):
    """A position in the timeline."""

    cursor = EventCursor


class CursorQuery(Filter):
    """Pagination by cursor, in event order."""

    after = After("The previous page's `next`. Omit for the first page.")
    limit = Limit()
    order = Choice(["asc", "desc"], "By event time. `desc` starts at the latest event.", load_default="asc")


class KindList(DocumentedField):
    """Event kinds, separated by commas."""

    openapi = {"type": "string"}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[str]:
        if len(value) > MAX_FILTER_CHARACTERS:
            raise ma.ValidationError(f"Must have at most {MAX_FILTER_CHARACTERS} characters.")
        return sorted({kind.strip() for kind in value.split(",")} - {""})


class TimelineQuery(CursorQuery):
    """Event filter, and level of detail."""

    kind = KindList("Only events of these kinds, separated by commas: `prompt,file_diff`.")
    without = KindList("Exclude events of these kinds: `tool_intent,ai_response`.")
    event_id = String("Only the event with this id. Accepts ids that a path cannot contain, such as `..`.")
    source = String("Only events from this source.", max=255)
    actor = String("Only events by this actor: `human`, `ai` or `system`.", max=255)
    channel = Choice([CLIENT, *CHANNELS], "Only events of this channel; `client` is the candidate's client.")
    detail = Choice(["summary", "full"], "`full` includes the events as sent.", load_default="summary")


class TimelineEvent(Schema):
    """A session's event."""

    id = String("Event id, as sent by the client.", attribute="event_id", example=EXAMPLE_EVENT_ID)
    ts = common.EVENT_TIME
    received_at = Timestamp("Time when the event was received.")
    kind = String("Event kind.", example="command")
    source = SOURCE
    actor = ACTOR
    attribution = ATTRIBUTION
    late = LATE
    channel = CHANNEL
    counts = COUNTS
    summary = String("Summary and result, on one line.", example="go test ./... · exit 1")
    size_bytes = Integer("Event size as sent, in bytes.", attribute="size", example=1840)
    envelope = Verbatim(Envelope, "The event as sent. Only with `detail=full`.", optional=True)


class Timeline(Schema):
    """A page of events in chronological order; ties are in arrival order."""

    task_read_at = common.TASK_READ_AT
    events = ListOf(TimelineEvent, "Events.")
    next = String(
        "Value for `after`; null on the last page. Events arriving later can precede it.",
        example=EXAMPLE_CURSOR,
        null=True,
    )


EventResponse = define_schema(
    "EventResponse", "One event.", event=Nested(TimelineEvent, "The event, as with `detail=full`.")
)


class Decision(Schema):
    """The candidate's design decision (`decision_event`), or reply to an agent's plan (`plan_decision`)."""

    event_id = common.EVENT_ID
    ts = common.EVENT_TIME
    kind = Choice(["decision_event", "plan_decision"], "Kind of decision.", example="decision_event")
    late = LATE
    channel = CHANNEL
    counts = COUNTS
    title = String("Decision.", example="Keep the queue in the database", null=True)
    chosen_option = String("Chosen option.", example="A table with SKIP LOCKED", null=True)
    rationale = String("Reason.", example="One less moving part", null=True)
    tradeoffs = String("Trade-offs.", example="Polling every second", null=True)
    context = String("Preceding activity, as reported by the client.", example="2 files changed", null=True)
    impact_score = Integer("Importance to the candidate, 1 to 5.", example=3, null=True)
    trigger_event_id = String("Related event id.", example=EXAMPLE_EVENT_ID, null=True)
    plan = String("Start of the agent's plan.", example="1. Read the tests", null=True)
    response = String("The candidate's reply to the plan.", example="Start with 2", null=True)


class Decisions(Schema):
    """A page of decisions in chronological order."""

    decisions = ListOf(Decision, "Decisions.")
    next = String("Value for `after`; null on the last page.", example=EXAMPLE_CURSOR, null=True)


class Moment(Schema):
    """A point in a session worth asking about."""

    kind = Choice(list(moments.QUESTIONS), "Kind of moment.", example="reversed_change")
    ts = EventTime("Time of the first event.", attribute="time_ns")
    event_ids = ListOf(String(), "Its events, in order.", example=[EXAMPLE_EVENT_ID])
    text = String("The facts. “Quoted” text was recorded.", example="A change to “a.py” was reversed.")
    questions = ListOf(String(), "Two questions for an interview.", example=["What led to going back?"])


Moments = define_schema(
    "Moments",
    "A session's moments.",
    version=Integer("Version of the rules.", example=moments.VERSION),
    moments=ListOf(Moment, "Moments in chronological order."),
)


class ArtifactEvent(Schema):
    """An artifact's event."""

    event_id = common.EVENT_ID
    ts = common.EVENT_TIME
    source = SOURCE
    actor = ACTOR
    attribution = ATTRIBUTION


class FileChange(ArtifactEvent):
    """A file change."""

    kind = String("Event kind.", example="file_diff")
    lines_added = Integer("Lines added.", example=12)
    lines_removed = Integer("Lines removed.", example=3)


class ChangedFile(Schema):
    """A changed file's latest known state."""

    path = String("Path.", example="internal/queue/queue.go")
    is_deleted = Flag("True if the last change deleted the file.", example=False)
    lines_added = Integer("Lines added by all changes.", example=120)
    lines_removed = Integer("Lines removed by all changes.", example=40)
    attributions = Dict(
        "Number of changes by attribution.", values=Integer(), example={"likely_ai": 4, "likely_human": 1}
    )
    content = String("Content if the last change wrote the whole file.", example="package queue\n", null=True)
    diff = String("Diff, if the last change was an edit.", example="@@ -1 +1 @@\n-a\n+b\n", null=True)
    is_cut = Flag("True if content or diff is truncated. The event contains the full text.", example=False)
    changes = ListOf(FileChange, "Changes in chronological order. The events contain the diffs.")


class ExecutedCommand(ArtifactEvent):
    """A command."""

    command = String("Command.", example="go test ./...", null=True)
    verifies = Choice(commands.KINDS, "Kind of verification, if any.", example="test", null=True)
    exit_code = Integer("Exit code; null if unknown.", example=1, null=True)
    duration_ms = Integer("Duration in ms, if reported.", example=2000, null=True)


class PlanStep(Schema):
    """A plan step."""

    step = String("Task.", example="Add a test for empty queues", null=True)
    status = String("Last status.", example="completed", null=True)
    task_id = String("Task number, if the tool assigns one.", example="3", null=True)


class Plan(Schema):
    """The last state of an agent's to-do list."""

    event_id = String("Id of the event that last changed the plan.", example=EXAMPLE_EVENT_ID)
    began_at = EventTime("Time of the first version.", attribute="started_ns")
    changed_at = EventTime("Time of the last change.", attribute="changed_ns")
    source = String("Tool that wrote the plan.", example="claude-code", null=True)
    versions = Integer("Number of versions.", example=7)
    steps = ListOf(PlanStep, "Steps.")


class Artifacts(Schema):
    """A session's artifacts, excluding late events and duplicates."""

    files = ListOf(ChangedFile, "Changed files, by path.")
    commands = ListOf(ExecutedCommand, "Commands in chronological order.")
    plans = ListOf(Plan, "Plans, oldest first.")


class RecentQuery(Filter):
    """Period of recent activity."""

    minutes = QueryInteger("Number of minutes to look back.", min=1, max=60, load_default=20)


class Activity(Schema):
    """Recent changes, commands and prompts."""

    files_changed = ListOf(String(), "Changed files, latest last.", example=["queue.go"])
    commands = ListOf(String(), "Commands, latest last.", example=["go test ./..."])
    prompt_count = Integer("Number of prompts.", example=3)


class RecentActivity(Schema):
    """Recent activity."""

    summary = String("Summary in one sentence.", example="3 prompts, 1 file changed: queue.go.")
    recent_activity = Nested(Activity, "Changes, commands and prompts.")
    period_minutes = Integer("Period in minutes.", example=20)
    event_count = Integer("Number of events.", example=57)
