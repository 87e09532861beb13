"""A session's record: its events, and what came out of them."""

from datetime import datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rules.timestamps import parse_timestamp_ns, timestamp_from_ns
from schemas import Filter, Id, Limit, PageOf, PageQuery, QueryNumber, Schema, Timestamp, described
from schemas.keys import STATUSES
from schemas.sessions import TestResult

EVENT_ID = "0b4c5c1e-7b1f-4c55-9d57-1f3f7f8b7a01"
LONGEST_FILTER = 2000
_MILLISECOND = 10**6


class EventTime(Timestamp):
    """An event's time, from nanoseconds."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> str | None:
        found = None if value is None else timestamp_from_ns(value)
        return super()._serialize(found, attr, obj, **kwargs)


class TimestampFilter(fields.Field):
    """An RFC 3339 time in a query; what is finer than the API's milliseconds is rounded up, so that `from` and `to`
    of the same text share nothing and leave nothing out."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> datetime:
        try:
            return timestamp_from_ns(parse_timestamp_ns(value) + _MILLISECOND - 1)
        except ValueError as error:
            raise ma.ValidationError(str(error)) from None


class Words(fields.Field):
    """One or more words, with commas between them."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[str]:
        if len(value) > LONGEST_FILTER:
            raise ma.ValidationError(f"Longer than maximum length {LONGEST_FILTER}.")
        return sorted({word.strip() for word in value.split(",")} - {""})


# Sessions


class SessionQuery(PageQuery):
    """Which sessions."""

    assessment_id = Id(metadata=described("Only sessions of this assessment."))
    status = fields.String(
        validate=validate.OneOf(STATUSES[1:]),
        metadata=described("Only sessions that stand here.", "completed", enum=list(STATUSES[1:])),
    )
    redeemed_from = TimestampFilter(
        data_key="from",
        metadata=described(
            "Only sessions that began at or after this time.", type="string", format="date-time"
        ),
    )
    redeemed_to = TimestampFilter(
        data_key="to",
        metadata=described("Only sessions that began before this time.", type="string", format="date-time"),
    )


class ListedSession(Schema):
    """A session in a list, without its numbers, which are derived when a session is looked at."""

    id = Id(metadata=described("Its id."))
    assessment_id = Id(metadata=described("Its assessment."))
    key_id = Id(metadata=described("The candidate key that began it."))
    org_name = fields.String(metadata=described("The organization that invited.", "Example Ltd"))
    assessment_title = fields.String(metadata=described("The assessment's title.", "Backend API Challenge"))
    status = fields.String(metadata=described("Where it stands.", "active", enum=list(STATUSES[1:])))
    redeemed_at = Timestamp(metadata=described("When it began."))
    closes_at = Timestamp(
        allow_none=True, metadata=described("When the time limit, with 5 minutes of grace, closes it.")
    )
    closed_at = Timestamp(
        allow_none=True, metadata=described("When it closed, as far as anybody noticed yet.")
    )
    completed_at = Timestamp(allow_none=True, metadata=described("When the candidate completed it."))
    candidate_name = fields.String(allow_none=True, metadata=described("The candidate's name.", "Alice"))
    candidate_email = fields.String(
        allow_none=True, metadata=described("The candidate's address.", "alice@example.com")
    )
    hired_at = Timestamp(allow_none=True, metadata=described("When the candidate was marked as hired."))
    test_result = fields.Nested(
        TestResult,
        allow_none=True,
        metadata=described("The result that a reviewer or an integration submitted."),
    )


class Sessions(PageOf):
    """A page of the organization's sessions, oldest first."""

    sessions = fields.List(fields.Nested(ListedSession), metadata=described("The sessions."))


# Timeline


class Cursor(fields.String):
    """Where a page begins."""

    def __init__(self, **kwargs: Any):
        metadata = {"example": "1775034000123456789.42"} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else str(value)


class CursorQuery(Filter):
    """Which part of a list that is read from cursor to cursor."""

    after = Cursor(
        validate=validate.Length(max=100),
        metadata=described("The `next` of the page before; left out at first."),
    )
    limit = Limit(load_default=50, metadata=described("Maximum number of results; clamped to 1 to 200.", 50))


class TimelineQuery(CursorQuery):
    """Which events, and how much of each."""

    kind = Words(
        metadata=described(
            "Only events of this kind; several with commas: `prompt,file_diff`.", type="string"
        )
    )
    without = Words(
        metadata=described(
            "No events of these kinds: `tool_intent,ai_response` leaves out what an agent only says.",
            type="string",
        )
    )
    source = fields.String(
        validate=validate.Length(max=255), metadata=described("Only events of this source.", "claude-code")
    )
    actor = fields.String(
        validate=validate.Length(max=255),
        metadata=described("Only events of this actor: `human`, `ai` or `system`.", "human"),
    )
    detail = fields.String(
        load_default="summary",
        validate=validate.OneOf(["summary", "full"]),
        metadata=described(
            "`full` has each event as it came. Such a page ends early where its events are large.",
            "summary",
            enum=["summary", "full"],
        ),
    )


class TimelineEvent(Schema):
    """One event of a session."""

    id = fields.String(attribute="event_id", metadata=described("Its id, as its client made it.", EVENT_ID))
    ts = EventTime(attribute="time_ns", metadata=described("When it happened, by the candidate's clock."))
    received_at = Timestamp(metadata=described("When it arrived."))
    kind = fields.String(metadata=described("What happened.", "command"))
    source = fields.String(allow_none=True, metadata=described("Where it was seen.", "claude-code"))
    actor = fields.String(allow_none=True, metadata=described("Who did it.", "ai"))
    attribution = fields.String(
        allow_none=True, metadata=described("Whose work it is likely to be.", "likely_ai")
    )
    late = fields.Boolean(metadata=described("Whether it came too late to count in the numbers.", False))
    summary = fields.String(
        metadata=described("What it is about and how it went, on one line.", "go test ./... · exit 1")
    )
    size_bytes = fields.Integer(
        attribute="size", metadata=described("The size of the event as it came.", 1840)
    )
    envelope = fields.Raw(
        metadata=described(
            "Only with `detail=full`: the event as it came, character by character.",
            {"id": EVENT_ID, "kind": "command", "v": 1, "data": {"command": "go test ./...", "exitCode": 1}},
            type="object",
            sometimes=True,
        )
    )


class Timeline(Schema):
    """A page of a session's events by the time at which they happened, ties in order of arrival."""

    events = fields.List(fields.Nested(TimelineEvent), metadata=described("The events."))
    next = Cursor(
        allow_none=True,
        metadata=described(
            "Where the next page begins, for `after`; null at the end. What arrives later may stand before it."
        ),
    )


class OneEvent(Schema):
    """One event."""

    event = fields.Nested(TimelineEvent, metadata=described("The event, as with `detail=full`."))


# Decisions


class Decision(Schema):
    """A decision that the candidate explained (`decision_event`), or the answer to an agent's plan (`plan_decision`).

    What was not told is null."""

    event_id = fields.String(metadata=described("The event's id.", EVENT_ID))
    ts = EventTime(attribute="time_ns", metadata=described("When, by the candidate's clock."))
    kind = fields.String(
        metadata=described("Which of the two.", "decision_event", enum=["decision_event", "plan_decision"])
    )
    late = fields.Boolean(metadata=described("Whether it came too late to count in the numbers.", False))
    title = fields.String(
        allow_none=True, metadata=described("What was decided.", "Keep the queue in the database")
    )
    chosen_option = fields.String(
        allow_none=True, metadata=described("What was chosen.", "A table with SKIP LOCKED")
    )
    rationale = fields.String(allow_none=True, metadata=described("Why.", "One moving part fewer"))
    tradeoffs = fields.String(allow_none=True, metadata=described("At what price.", "Polling every second"))
    context = fields.String(
        allow_none=True,
        metadata=described("What had happened before, as the client put it.", "2 files changed"),
    )
    impact_score = fields.Integer(
        allow_none=True, metadata=described("How much it matters to the candidate, 1 to 5.", 3)
    )
    trigger_event_id = fields.String(
        allow_none=True, metadata=described("The event that it is about.", EVENT_ID)
    )
    plan = fields.String(
        allow_none=True, metadata=described("The beginning of the agent's plan.", "1. Read the tests")
    )
    response = fields.String(
        allow_none=True, metadata=described("What the candidate answered to it.", "Start with 2")
    )


class Decisions(Schema):
    """A page of the decisions in the order in which they happened."""

    decisions = fields.List(fields.Nested(Decision), metadata=described("The decisions."))
    next = Cursor(
        allow_none=True, metadata=described("Where the next page begins, for `after`; null at the end.")
    )


# Artifacts


class Occurrence(Schema):
    """One event behind an artifact."""

    event_id = fields.String(metadata=described("The event's id.", EVENT_ID))
    ts = EventTime(attribute="time_ns", metadata=described("When, by the candidate's clock."))
    source = fields.String(allow_none=True, metadata=described("Where it was seen.", "claude-code"))
    actor = fields.String(allow_none=True, metadata=described("Who did it.", "ai"))
    attribution = fields.String(
        allow_none=True, metadata=described("Whose work it is likely to be.", "likely_ai")
    )


class FileChange(Occurrence):
    """One change of a file."""

    kind = fields.String(metadata=described("What happened.", "file_diff"))
    lines_added = fields.Integer(metadata=described("Lines added.", 12))
    lines_removed = fields.Integer(metadata=described("Lines removed.", 3))


class ChangedFile(Schema):
    """A file that was changed, with what is known of its latest state."""

    path = fields.String(metadata=described("Its path.", "internal/queue/queue.go"))
    is_deleted = fields.Boolean(metadata=described("Whether its last change deleted it.", False))
    lines_added = fields.Integer(metadata=described("Lines added by all changes.", 120))
    lines_removed = fields.Integer(metadata=described("Lines removed by all changes.", 40))
    attributions = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata=described(
            "By whom: how many changes have which attribution.", {"likely_ai": 4, "likely_human": 1}
        ),
    )
    content = fields.String(
        allow_none=True,
        metadata=described("All of it, where its last change wrote all of it.", "package queue\n"),
    )
    diff = fields.String(
        allow_none=True,
        metadata=described("Its last change, where that was an edit.", "@@ -1 +1 @@\n-a\n+b\n"),
    )
    is_cut = fields.Boolean(
        metadata=described(
            "Whether content or diff is longer than what is shown; the event has all of it.", False
        )
    )
    changes = fields.List(
        fields.Nested(FileChange), metadata=described("Its changes in order; the events have their diffs.")
    )


class RunCommand(Occurrence):
    """A command that ran."""

    command = fields.String(allow_none=True, metadata=described("The command.", "go test ./..."))
    verifies = fields.String(
        allow_none=True,
        metadata=described("What it verifies, if anything: `test`, `check` or `build`.", "test"),
    )
    exit_code = fields.Integer(
        allow_none=True, metadata=described("Its exit code; null where nobody knows it.", 1)
    )
    duration_ms = fields.Integer(
        allow_none=True, metadata=described("How long it took, where that was told.", 2000)
    )


class PlanStep(Schema):
    """A step of a plan."""

    step = fields.String(
        allow_none=True, metadata=described("What is to be done.", "Add a test for empty queues")
    )
    status = fields.String(allow_none=True, metadata=described("Where it stood at last.", "completed"))
    task_id = fields.String(
        allow_none=True, metadata=described("Its number, where the tool has numbers.", "3")
    )


class Plan(Schema):
    """An agent's to-do list as it stood at last."""

    event_id = fields.String(metadata=described("The event that changed it last.", EVENT_ID))
    began_at = EventTime(attribute="started_ns", metadata=described("When it was first written."))
    changed_at = EventTime(attribute="changed_ns", metadata=described("When it was changed last."))
    source = fields.String(allow_none=True, metadata=described("Whose plan it is.", "claude-code"))
    versions = fields.Integer(metadata=described("How many times it was written.", 7))
    steps = fields.List(fields.Nested(PlanStep), metadata=described("Its steps."))


class Artifacts(Schema):
    """What came out of a session. Late events have no part in it, and what the editor reports again is left out."""

    files = fields.List(fields.Nested(ChangedFile), metadata=described("Changed files, by path."))
    commands = fields.List(fields.Nested(RunCommand), metadata=described("Commands in order."))
    plans = fields.List(fields.Nested(Plan), metadata=described("Plans in the order in which they began."))


# Recent activity


class RecentQuery(Filter):
    """How far to look back."""

    minutes = QueryNumber(
        load_default=20,
        validate=validate.Range(min=1, max=60),
        metadata=described("How many minutes to look back, 1 to 60.", 20),
    )


class Activity(Schema):
    """What was done."""

    files_changed = fields.List(
        fields.String(), metadata=described("Files that were changed, the latest last.", ["queue.go"])
    )
    commands = fields.List(
        fields.String(), metadata=described("Commands that ran, the latest last.", ["go test ./..."])
    )
    prompt_count = fields.Integer(metadata=described("How many prompts there were.", 3))


class RecentActivity(Schema):
    """What arrived in the last minutes (client contract, 3.14)."""

    summary = fields.String(
        metadata=described("All of it in one sentence.", "3 prompts, 1 file changed: queue.go.")
    )
    recent_activity = fields.Nested(Activity, metadata=described("What was done."))
    period_minutes = fields.Integer(metadata=described("How many minutes were looked back.", 20))
    event_count = fields.Integer(metadata=described("How many events arrived.", 57))
