"""OpenTelemetry log records, regardless of their encoding, and events shared by several agents."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rules.agents.values import nonempty_string, parse_integer, without_none
from rules.events.recorded_events import RecordedEvent
from rules.timestamps import parse_timestamp_ns

# Lists, maps and bytes are read as None. Supported records do not use them.
AttributeValue = str | int | float | bool | None
Attributes = Mapping[str, AttributeValue]


class LogRecord(NamedTuple):
    """A log record.

    resource -- attributes of the program that logged it
    time_ns -- nanoseconds since 1970; falls back to the observed time; None if both are missing
    """

    resource: Attributes
    attributes: Attributes
    time_ns: int | None


class LogEvent(NamedTuple):
    """A log record with its name and time.

    name -- without the tool's prefix
    time_ns -- time on the tool's clock; None if missing
    sequence -- sequence number within the tool's process; 0 if missing
    find_running -- returns the data of the event that started a running command, by process id
    """

    name: str
    record: LogRecord
    time_ns: int | None
    sequence: int
    find_running: Callable[[int], dict[str, Any] | None] = lambda process_id: None

    @classmethod
    def from_record(cls, name: str, record: LogRecord) -> "LogEvent":
        return cls(
            name, record, _time_ns(record), parse_integer(record.attributes.get("event.sequence")) or 0
        )

    @property
    def identity(self) -> str:
        """Id for records without one. The sequence restarts when a session is resumed (R36)."""
        return f"{self.time_ns}:{self.sequence}"

    def text(self, name: str) -> str | None:
        return nonempty_string(self.record.attributes.get(name))

    def integer(self, name: str) -> int | None:
        return parse_integer(self.record.attributes.get(name))

    def number(self, name: str) -> float | None:
        value = self.record.attributes.get(name)
        return value if type(value) in (int, float) else None  # type: ignore[return-value]

    def is_true(self, name: str) -> bool:
        """Return whether an attribute is true. Some tools send booleans as strings."""
        return self.record.attributes.get(name) in (True, "true")


def permission_decision(
    decision: str | None, source: str | None, name: str, call_id: str, *, is_user: bool
) -> RecordedEvent:
    """Build the event for a decision on a call, made by the user or a rule."""
    fields = {"decision": decision, "source": source, "toolName": name, "toolUseId": call_id}
    return RecordedEvent("permission_decision", without_none(**fields, human=is_user or None), call_id)


def agent_error(event: LogEvent, error: str | None, status: int | None) -> RecordedEvent:
    """Build the event for a failed model call."""
    model, attempt = event.text("model"), event.integer("attempt")
    data = without_none(error=error, statusCode=status, model=model, attempt=attempt)
    return RecordedEvent("agent_error", data, event.identity)


def _time_ns(record: LogRecord) -> int | None:
    """Return the time in the attributes, or the record's own time, which Codex leaves empty."""
    text = nonempty_string(record.attributes.get("event.timestamp"))
    try:
        return parse_timestamp_ns(text) if text else record.time_ns
    except ValueError:
        return record.time_ns
