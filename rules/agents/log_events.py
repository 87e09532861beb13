"""A log record of a coding agent, with its name and time, and events that several agents log."""

from typing import NamedTuple

from rules.agents.log_records import LogRecord
from rules.agents.values import integer_of, named, text_of
from rules.events.recorded_events import RecordedEvent
from rules.timestamps import parse_timestamp_ns


class LogEvent(NamedTuple):
    """One record.

    name -- without the tool's prefix
    time_ns -- the time by the tool's clock; None if the record has none
    sequence -- its number in the tool's process; 0 if the record has none
    """

    name: str
    record: LogRecord
    time_ns: int | None
    sequence: int

    @classmethod
    def of(cls, name: str, record: LogRecord) -> "LogEvent":
        return cls(name, record, _time_ns(record), integer_of(record.attributes.get("event.sequence")) or 0)

    @property
    def identity(self) -> str:
        """The record's id, if it names nothing that has one. A sequence restarts when a session is resumed (R36)."""
        return f"{self.time_ns}:{self.sequence}"

    def text(self, name: str) -> str | None:
        return text_of(self.record.attributes.get(name))

    def integer(self, name: str) -> int | None:
        return integer_of(self.record.attributes.get(name))

    def number(self, name: str) -> float | None:
        value = self.record.attributes.get(name)
        return value if type(value) in (int, float) else None  # type: ignore[return-value]

    def is_true(self, name: str) -> bool:
        """Return whether an attribute is true; tools also write booleans as text."""
        return self.record.attributes.get(name) in (True, "true")


def permission_decision(
    decision: str | None, source: str | None, name: str, call_id: str, *, is_person: bool
) -> RecordedEvent:
    """The decision of a person or a rule about a call."""
    fields = {"decision": decision, "source": source, "toolName": name, "toolUseId": call_id}
    return RecordedEvent("permission_decision", named(**fields, human=is_person or None), call_id)


def agent_error(event: LogEvent, error: str | None, status: int | None) -> RecordedEvent:
    """The failure of a model call."""
    model, attempt = event.text("model"), event.integer("attempt")
    data = named(error=error, statusCode=status, model=model, attempt=attempt)
    return RecordedEvent("agent_error", data, event.identity)


def _time_ns(record: LogRecord) -> int | None:
    """The record's time. The attribute has priority: Codex leaves the record's own time empty."""
    text = text_of(record.attributes.get("event.timestamp"))
    try:
        return parse_timestamp_ns(text) if text else record.time_ns
    except ValueError:
        return record.time_ns
