"""Log records that coding agents send as telemetry, as events (R36, R37).

Only the attributes named in the tools' modules are used. The person's address, account, organization and machine are
not among them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from rules.agents import claude_code_telemetry, codex_telemetry, gemini_telemetry
from rules.agents.log_events import LogEvent
from rules.agents.log_records import LogRecord
from rules.agents.values import text_of
from rules.events.recorded_events import EventSource, RecordedEvent
from rules.timestamps import format_timestamp, timestamp_from_ns

CHANNEL = "otlp"
Readers = dict[str, Callable[[LogEvent], Iterator[RecordedEvent]]]


class Tool(NamedTuple):
    """A tool's records.

    prefix -- the prefix of their names
    session -- the attribute with the id of the agent session
    """

    name: str
    prefix: str
    session: str
    readers: Readers


TOOLS = (
    Tool("codex", "codex.", "conversation.id", codex_telemetry.READERS),
    Tool("gemini-cli", "gemini_cli.", "session.id", gemini_telemetry.READERS),
    Tool("claude-code", "", "session.id", claude_code_telemetry.READERS),
)


class Clock(NamedTuple):
    """Shifts the times of one request so that its newest record has the arrival time (R37).

    earliest -- an earlier time would be outside the session
    """

    arrived_at: datetime
    newest_ns: int
    earliest: datetime

    def at_ns(self, time_ns: int | None) -> int:
        """The shifted time of a record. A record without a time counts as the newest."""
        return self.newest_ns if time_ns is None else time_ns

    def at(self, time_ns: int | None) -> datetime:
        age = timedelta(microseconds=(self.newest_ns - self.at_ns(time_ns)) // 1000)
        return max(self.arrived_at - age, self.earliest)


def read(
    records: Sequence[LogRecord], arrived_at: datetime, earliest: datetime
) -> list[tuple[EventSource, list[RecordedEvent]]]:
    """The events of one request in order, by agent session.

    earliest -- start of the session
    """
    found = []
    for record in records:
        name = text_of(record.attributes.get("event.name")) or ""
        tool = next((tool for tool in TOOLS if name and name.startswith(tool.prefix)), None)
        if tool:
            found.append((tool, LogEvent.of(name.removeprefix(tool.prefix), record)))
    times = [event.time_ns for _, event in found if event.time_ns is not None]
    clock = Clock(arrived_at, max(times, default=0), earliest)
    found.sort(key=lambda each: (clock.at_ns(each[1].time_ns), each[1].sequence))
    events: dict[EventSource, list[RecordedEvent]] = {}
    for tool, event in found:
        reader = tool.readers.get(event.name)
        source = _event_source(tool, event.record)
        if reader and source:
            events.setdefault(source, []).extend(_timed(each, event, clock) for each in reader(event))
    return [(source, listed) for source, listed in events.items() if listed]


def _event_source(tool: Tool, record: LogRecord) -> EventSource | None:
    session = text_of(record.attributes.get(tool.session))
    version = text_of(record.resource.get("service.version"))
    return EventSource(CHANNEL, tool.name, version, session) if session else None


def _timed(recorded: RecordedEvent, event: LogEvent, clock: Clock) -> RecordedEvent:
    data = recorded.data
    if event.time_ns is not None:
        data = data | {"originalTs": format_timestamp(timestamp_from_ns(event.time_ns))}
    return replace(recorded, data=data, at=clock.at(event.time_ns))
