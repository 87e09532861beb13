"""Read log records that coding agents send as telemetry as events (R36, R37).

Only attributes named in the tools' modules are read. They exclude the user's email, account, organization and machine.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from rules.agents import gemini_cli
from rules.agents.claude_code import telemetry as claude_code
from rules.agents.codex import telemetry as codex
from rules.agents.log_records import LogEvent, LogRecord
from rules.agents.values import nonempty_string
from rules.events.recorded_events import EventSource, RecordedEvent
from rules.timestamps import format_timestamp, timestamp_from_ns

CHANNEL = "otlp"
# Length of all running commands whose end a request reports. Each end repeats the command and its output.
MAX_RUNNING_CHARACTERS = 16 * 2**20
# A search without a result counts like this many, because it reads the database.
MISS_CHARACTERS = MAX_RUNNING_CHARACTERS // 100
Readers = dict[str, Callable[[LogEvent], Iterator[RecordedEvent]]]
# By agent session and process id.
FindRunning = Callable[[str, int], dict[str, Any] | None]


class Tool(NamedTuple):
    """A tool that sends log records.

    prefix -- prefix of the record names
    session -- name of the attribute with the agent session id
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
    records: Sequence[LogRecord],
    received_at: datetime,
    earliest: datetime,
    find_stored: FindRunning = lambda agent_session, process_id: None,
) -> list[tuple[EventSource, list[RecordedEvent]]]:
    """Return a request's events by agent session, in order.

    The newest record gets the time at which the request was received, and all others are shifted by the same amount
    (R37).

    earliest -- the session's start
    find_stored -- returns the data of the stored event that started a running command
    """
    entries = list(_tool_events(records))
    newest_ns = max((event.time_ns for _, event in entries if event.time_ns is not None), default=0)

    def time_ns(event: LogEvent) -> int:
        """Return the event's time. Events without a time are treated as the newest."""
        return newest_ns if event.time_ns is None else event.time_ns

    entries.sort(key=lambda entry: (time_ns(entry[1]), entry[1].sequence))
    events: dict[EventSource, list[RecordedEvent]] = {}
    characters_left = MAX_RUNNING_CHARACTERS

    def find_running(source: EventSource, process_id: int) -> dict[str, Any] | None:
        nonlocal characters_left
        if characters_left <= 0:
            return None
        data = (recorded.data for recorded in reversed(events.get(source, [])))
        started = next((start for start in data if start.get("processId") == process_id), None)
        started = started or find_stored(source.agent_session, process_id)
        characters_left -= len(started["command"] + started["stdout"]) if started else MISS_CHARACTERS
        return started

    for tool, event in entries:
        reader = tool.readers.get(event.name)
        session = event.text(tool.session)
        if reader and session:
            version = nonempty_string(event.record.resource.get("service.version"))
            source = EventSource(CHANNEL, tool.name, version, session)
            age = timedelta(microseconds=(newest_ns - time_ns(event)) // 1000)
            at = max(received_at - age, earliest)
            event = event._replace(find_running=partial(find_running, source))
            events.setdefault(source, []).extend(
                _add_times(recorded, event, at) for recorded in reader(event)
            )
    return [(source, recorded) for source, recorded in events.items() if recorded]


def _tool_events(records: Sequence[LogRecord]) -> Iterator[tuple[Tool, LogEvent]]:
    """Yield the records of known tools."""
    for record in records:
        name = nonempty_string(record.attributes.get("event.name")) or ""
        tool = next((tool for tool in TOOLS if name and name.startswith(tool.prefix)), None)
        if tool:
            yield tool, LogEvent.from_record(name.removeprefix(tool.prefix), record)


def _add_times(recorded: RecordedEvent, event: LogEvent, at: datetime) -> RecordedEvent:
    data = recorded.data
    if event.time_ns is not None:
        data = data | {"originalTs": format_timestamp(timestamp_from_ns(event.time_ns))}
    return replace(recorded, data=data, at=at)
