"""A session's record: its events, decisions, artifacts and recent activity."""

from typing import Any

import marshmallow as ma

from rules.events.recorded_events import CHANNELS, CLIENT
from rules.metrics import commands
from schemas import common
from schemas.base import PageOf, Schema, shape
from schemas.candidate_session import Envelope
from schemas.common import EXAMPLE_EVENT_ID
from schemas.fields import Choice, Described, Dict, Flag, Id, Integer, Line, ListOf, Nested, String, Verbatim
from schemas.keys import SESSION_STATUSES
from schemas.queries import Filter, Limit, PageQuery, QueryInteger, created_after, updated_after
from schemas.sessions import ListedSession
from schemas.timestamps import EventTime, Timestamp, TimestampInput

MAX_FILTER_CHARACTERS = 2000

SOURCE = String("Tool that reported it.", example="claude-code", null=True)
ACTOR = String("Actor.", example="ai", null=True)
ATTRIBUTION = String("Likely author.", example="likely_ai", null=True)
LATE = Flag("True if it is too late to count in the metrics.", example=False)
CHANNEL = Choice(
    CHANNELS, "Channel that recorded it; null for the candidate's client.", example="proxy", null=True
)
COUNTS = Flag("True if it counts in the metrics. Late events and duplicates do not.", example=True)


class SessionQuery(PageQuery):
    """Filter of sessions."""

    assessment_id = Id("Only sessions of this assessment.")
    status = Choice(SESSION_STATUSES, "Only sessions with this status.")
    external_id = Line(255, "Only sessions of candidates with this `externalId`.")
    redeemed_from = TimestampInput(
        "Only sessions started at or after this time.", data_key="from", round_up=True
    )
    redeemed_to = TimestampInput("Only sessions started before this time.", data_key="to", round_up=True)
    created_after = created_after()
    updated_after = updated_after()


Sessions = shape("Sessions", "Sessions, oldest first.", PageOf, sessions=ListOf(ListedSession, "Sessions."))


class Cursor(String):
    """Position of a page."""

    openapi = {"example": "1775034000123456789.42"}

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else str(value)


class CursorQuery(Filter):
    """Part of a list with cursors."""

    after = Cursor("The `next` of the previous page; omitted for the first page.", max=100)
    limit = Limit()
    order = Choice(["asc", "desc"], "By event time; `desc` starts at the latest event.", load_default="asc")


class KindList(Described):
    """Kinds of events, separated by commas."""

    openapi = {"type": "string"}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[str]:
        if len(value) > MAX_FILTER_CHARACTERS:
            raise ma.ValidationError(f"Must have at most {MAX_FILTER_CHARACTERS} characters.")
        return sorted({kind.strip() for kind in value.split(",")} - {""})


class TimelineQuery(CursorQuery):
    """Filter of events, and level of detail."""

    kind = KindList("Only events of this kind; several with commas: `prompt,file_diff`.")
    without = KindList("Exclude events of these kinds, such as `tool_intent,ai_response`.")
    event_id = String("Only the event with this id, including one that a path cannot contain, such as `..`.")
    source = String("Only events of this source.", max=255)
    actor = String("Only events of this actor: `human`, `ai` or `system`.", max=255)
    channel = Choice(
        [CLIENT, *CHANNELS], "Only events that this channel recorded; `client` is the candidate's client."
    )
    detail = Choice(["summary", "full"], "`full` includes the events as sent.", load_default="summary")


class TimelineEvent(Schema):
    """One event of a session."""

    id = String("Event id, as sent by the client.", attribute="event_id", example=EXAMPLE_EVENT_ID)
    ts = common.EVENT_TIME
    received_at = Timestamp("Time of arrival at the service.")
    kind = String("Kind of event.", example="command")
    source = SOURCE
    actor = ACTOR
    attribution = ATTRIBUTION
    late = LATE
    channel = CHANNEL
    counts = COUNTS
    summary = String("Summary and result, on one line.", example="go test ./... · exit 1")
    size_bytes = Integer("Size of the event as sent, in bytes.", attribute="size", example=1840)
    envelope = Verbatim(Envelope, "With `detail=full`: the event as sent.", optional=True)


class Timeline(Schema):
    """A page of a session's events in order of time, ties in order of arrival."""

    events = ListOf(TimelineEvent, "Events.")
    next = Cursor("Value for `after`; null at the end. Events that arrive later may precede it.", null=True)


OneEvent = shape("OneEvent", "One event.", event=Nested(TimelineEvent, "The event, as with `detail=full`."))


class Decision(Schema):
    """A decision that the candidate explained (`decision_event`), or the reply to an agent's plan (`plan_decision`).

    Missing values are null."""

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
    trigger_event_id = String("Id of the related event.", example=EXAMPLE_EVENT_ID, null=True)
    plan = String("Start of the agent's plan.", example="1. Read the tests", null=True)
    response = String("The candidate's reply to it.", example="Start with 2", null=True)


class Decisions(Schema):
    """A page of a session's decisions in order of time."""

    decisions = ListOf(Decision, "Decisions.")
    next = Cursor("Value for `after`; null at the end.", null=True)


class Occurrence(Schema):
    """One event behind an artifact."""

    event_id = common.EVENT_ID
    ts = common.EVENT_TIME
    source = SOURCE
    actor = ACTOR
    attribution = ATTRIBUTION


class FileChange(Occurrence):
    """One change of a file."""

    kind = String("Kind of event.", example="file_diff")
    lines_added = Integer("Lines added.", example=12)
    lines_removed = Integer("Lines removed.", example=3)


class ChangedFile(Schema):
    """A changed file, with its latest known state."""

    path = String("Path.", example="internal/queue/queue.go")
    is_deleted = Flag("True if its last change deleted it.", example=False)
    lines_added = Integer("Lines added by all changes.", example=120)
    lines_removed = Integer("Lines removed by all changes.", example=40)
    attributions = Dict(
        "Number of changes by attribution.", values=Integer(), example={"likely_ai": 4, "likely_human": 1}
    )
    content = String(
        "Full content, if its last change wrote the whole file.", example="package queue\n", null=True
    )
    diff = String("Diff of its last change, if that was an edit.", example="@@ -1 +1 @@\n-a\n+b\n", null=True)
    is_cut = Flag("True if content or diff is truncated; the event has it in full.", example=False)
    changes = ListOf(FileChange, "Its changes in order; the events have their diffs.")


class RunCommand(Occurrence):
    """A command that ran."""

    command = String("Command.", example="go test ./...", null=True)
    verifies = Choice(commands.KINDS, "Kind of verification, if any.", example="test", null=True)
    exit_code = Integer("Exit code; null if unknown.", example=1, null=True)
    duration_ms = Integer("Duration in milliseconds, if reported.", example=2000, null=True)


class PlanStep(Schema):
    """A step of a plan."""

    step = String("Task.", example="Add a test for empty queues", null=True)
    status = String("Last status.", example="completed", null=True)
    task_id = String("Number of the task, if the tool assigns one.", example="3", null=True)


class Plan(Schema):
    """Last state of an agent's to-do list."""

    event_id = String("Id of the event that changed it last.", example=EXAMPLE_EVENT_ID)
    began_at = EventTime("Time when it was first written.", attribute="started_ns")
    changed_at = EventTime("Time of the last change.", attribute="changed_ns")
    source = String("Tool that wrote it.", example="claude-code", null=True)
    versions = Integer("Number of times it was written.", example=7)
    steps = ListOf(PlanStep, "Steps.")


class Artifacts(Schema):
    """Results of a session, without late events and the editor's duplicates."""

    files = ListOf(ChangedFile, "Changed files, by path.")
    commands = ListOf(RunCommand, "Commands in order.")
    plans = ListOf(Plan, "Plans in order of their start.")


class RecentQuery(Filter):
    """Period of recent activity."""

    minutes = QueryInteger("Number of minutes to look back.", min=1, max=60, load_default=20)


class Activity(Schema):
    """Recent changes, commands and prompts."""

    files_changed = ListOf(String(), "Changed files, latest last.", example=["queue.go"])
    commands = ListOf(String(), "Commands, latest last.", example=["go test ./..."])
    prompt_count = Integer("Number of prompts.", example=3)


class RecentActivity(Schema):
    """Activity of the last minutes."""

    summary = String("Summary in one sentence.", example="3 prompts, 1 file changed: queue.go.")
    recent_activity = Nested(Activity, "Changes, commands and prompts.")
    period_minutes = Integer("Length of the period in minutes.", example=20)
    event_count = Integer("Number of events that arrived.", example=57)
