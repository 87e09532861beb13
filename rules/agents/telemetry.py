"""Log records that coding agents send as telemetry, read as events (R36, R37).

Only the attributes named in the tools' modules are used. They exclude the user's email, account, organization and
machine.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from rules.agents import gemini_cli
from rules.agents.claude_code import telemetry as claude_code
from rules.agents.codex import telemetry as codex
from rules.agents.log_records import LogEvent, LogRecord
from rules.agents.values import text_of
from rules.events.recorded_events import EventSource, RecordedEvent
from rules.timestamps import format_timestamp, timestamp_from_ns

CHANNEL = "otlp"
Readers = dict[str, Callable[[LogEvent], Iterator[RecordedEvent]]]


class Tool(NamedTuple):
    """A tool that sends log records.

    prefix -- of the records' names
    session -- the attribute with the agent session's id
    """

    name: str
    prefix: str
    session: str
    readers: Readers


TOOLS = (
    Tool("codex", "codex.", "conversation.id", codex.READERS),
    Tool("gemini-cli", "gemini_cli.", "session.id", gemini_cli.READERS),
    Tool("claude-code", "", "session.id", claude_code.READERS),
)


def read(
    records: Sequence[LogRecord], received_at: datetime, earliest: datetime
) -> list[tuple[EventSource, list[RecordedEvent]]]:
    """Return a request's events in order, by agent session.

    The newest record gets the time at which the request was received. Earlier records keep their distance to it (R37).

    earliest -- the session's start
    """
    logged = []
    for record in records:
        name = text_of(record.attributes.get("event.name")) or ""
        tool = next((tool for tool in TOOLS if name and name.startswith(tool.prefix)), None)
        if tool:
            logged.append((tool, LogEvent.of(name.removeprefix(tool.prefix), record)))
    newest_ns = max((event.time_ns for _, event in logged if event.time_ns is not None), default=0)

    def time_ns(event: LogEvent) -> int:
        """Return the event's time. An event without a time is treated as the newest."""
        return newest_ns if event.time_ns is None else event.time_ns

    logged.sort(key=lambda entry: (time_ns(entry[1]), entry[1].sequence))
    events: dict[EventSource, list[RecordedEvent]] = {}
    for tool, event in logged:
        reader = tool.readers.get(event.name)
        session = event.text(tool.session)
        if reader and session:
            version = text_of(event.record.resource.get("service.version"))
            source = EventSource(CHANNEL, tool.name, version, session)
            age = timedelta(microseconds=(newest_ns - time_ns(event)) // 1000)
            at = max(received_at - age, earliest)
            events.setdefault(source, []).extend(_timed(recorded, event, at) for recorded in reader(event))
    return [(source, recorded) for source, recorded in events.items() if recorded]


def _timed(recorded: RecordedEvent, event: LogEvent, at: datetime) -> RecordedEvent:
    data = recorded.data
    if event.time_ns is not None:
        data = data | {"originalTs": format_timestamp(timestamp_from_ns(event.time_ns))}
    return replace(recorded, data=data, at=at)
