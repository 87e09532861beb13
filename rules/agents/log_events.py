"""A log record of a coding agent, with its name and time, and events that several agents log."""

from typing import NamedTuple

from rules.agents.log_records import LogRecord
from rules.agents.values import integer_of, named, text_of
from rules.events.recorded_events import RecordedEvent
from rules.timestamps import parse_timestamp_ns


class LogEvent(NamedTuple):
    """One record.

    name -- without the tool's prefix
    time_ns -- when it was written, by the tool's clock; None if it does not say
    sequence -- its number in the tool's process, else 0
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
        """Its id if it names nothing that has one. A sequence starts again when a session is resumed (R36)."""
        return f"{self.time_ns}:{self.sequence}"

    def text(self, name: str) -> str | None:
        return text_of(self.record.attributes.get(name))

    def integer(self, name: str) -> int | None:
        return integer_of(self.record.attributes.get(name))

    def number(self, name: str) -> float | None:
        value = self.record.attributes.get(name)
        return value if type(value) in (int, float) else None  # type: ignore[return-value]

    def is_true(self, name: str) -> bool:
        """Tools write booleans as text as well."""
        return self.record.attributes.get(name) in (True, "true")


def permission_decision(
    decision: str | None, source: str | None, name: str, call_id: str, *, is_person: bool
) -> RecordedEvent:
    """A person or a rule decided about a call."""
    members = {"decision": decision, "source": source, "toolName": name, "toolUseId": call_id}
    return RecordedEvent("permission_decision", named(**members, human=is_person or None), call_id)


def agent_error(event: LogEvent, error: str | None, status: int | None) -> RecordedEvent:
    """A model call failed."""
    model, attempt = event.text("model"), event.integer("attempt")
    data = named(error=error, statusCode=status, model=model, attempt=attempt)
    return RecordedEvent("agent_error", data, event.identity)


def _time_ns(record: LogRecord) -> int | None:
    """The attribute comes first: Codex leaves the record's own time empty."""
    text = text_of(record.attributes.get("event.timestamp"))
    try:
        return parse_timestamp_ns(text) if text else record.time_ns
    except ValueError:
        return record.time_ns
