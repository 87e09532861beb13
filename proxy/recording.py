"""Record a model call: derive events from its request and response, and store them before the response ends (R36).

Events that a call could not store, because the database was unavailable or the process stopped, are restored from the
history in the conversation's next request.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol

import orjson

from errors import SessionClosed, Unauthenticated
from models import ModelUsage, Session, sessions
from models.database import connection
from proxy.lazy_json import LazyObject
from proxy.usage_reader import END_OF_CHAT
from rules.events.envelopes import label
from rules.events.masking import mask_text
from rules.events.recorded_events import EventSource, RecordedEvent, ResponseUsage
from rules.session_quota import Quota
from web.access_log import record_recording_failure

CHANNEL = "proxy"
# The most turns of a conversation that one call stores: a conversation may have started elsewhere.
MAX_TURNS = 100
# The most events that one call stores: other requests wait for the database in the meantime.
MAX_EVENTS = 2_000
# The latest calls of a conversation that are searched in other agent sessions.
MAX_SEARCHED_CALLS = 20
# Processor time for reading a request's calls with the files that they changed; Python runs one thread at a time.
MAX_READING_SECONDS = 1.0
# The turns that one query looks up. Usually the latest is new and the one before it is stored.
TURNS_PER_QUERY = 2

log = logging.getLogger("proofstone.proxy")


class Dialect(Protocol):
    """A module of rules/agents/, see rules/agents/dialect.py."""

    def read_request(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Any: ...

    def Response(self) -> Any: ...


class ProxyRequest(NamedTuple):
    """A request that a recorder reads.

    headers -- their names in lower case
    """

    headers: Mapping[str, str]
    body: LazyObject
    at: datetime


class Reading(NamedTuple):
    """A request, its latest turns, and those before them, which are read when they are needed."""

    request: Any
    event_source: EventSource
    latest: list[list[RecordedEvent]]
    earlier: Iterator[list[RecordedEvent]]


class Recorder:
    """Collects one response, and stores the events of a call whose candidate has agreed to it (R38)."""

    def __init__(self, session: Session, dialect: Dialect, proxy_request: ProxyRequest, quota: Quota):
        self._session = session
        self._dialect = dialect
        self._proxy_request = proxy_request
        self._quota = quota
        self._response = dialect.Response()
        self._reading: Reading | None = None
        self._columns: dict[str, Any] = {}
        self._request_events: list[sessions.ReceivedEvent] | None = None
        self._events: list[sessions.ReceivedEvent] = []
        self._is_prepared = False
        self._is_incomplete = False
        self._has_failed = False

    def add(self, data: bytes) -> None:
        """Add an event of a stream, or a document. It never raises."""
        part = _parsed(data)
        if part is None or self._has_failed:
            return
        try:
            self._response.add(part)
        except Exception:
            self.fail()

    def prepare(self) -> None:
        """Collect the request's events. `collect` would do it too, but then the client waits. It never raises."""
        if not self._is_prepared:
            self._is_prepared = True
            with suppress(Exception), connection():
                self._reading = self._read()
                self._request_events = self._from_request(self._reading)

    def collect(self, measured: ResponseUsage, ended_at: datetime) -> None:
        """Collect the call's events, once its response has ended. It never raises.

        Call it before the transaction, in which other requests may wait.
        """
        try:
            self._collect(measured, ended_at)
        except Exception:
            self.fail()

    def store(self) -> dict[str, Any]:
        """Store the events; returns `columns`, or none if nothing may be stored. Call it in a transaction.

        If it raises, undo the transaction, and call `fail`.
        """
        try:
            sessions.store_prepared(self._session, self._events, quota=self._quota)
        except (SessionClosed, Unauthenticated):
            return {}
        return self.columns

    @property
    def columns(self) -> dict[str, Any]:
        """Columns of the call's ModelUsage."""
        return self._columns | {"is_recorded": not self._has_failed and not self._is_incomplete}

    def fail(self) -> None:
        """Report, in the handler of an exception, that the call's events could not be stored."""
        self._has_failed = True
        log.exception("Could not record a call. The conversation's next call restores what is missing.")
        record_recording_failure()

    def _read(self) -> Reading:
        request = self._dialect.read_request(self._proxy_request.headers, self._proxy_request.body)
        request.limit(self._time_limit())
        agent = request.agent
        turns = (turn for turn in islice(request.turns(), MAX_TURNS) if turn)
        latest = list(islice(turns, TURNS_PER_QUERY))
        return Reading(request, EventSource(CHANNEL, agent.tool, agent.version, agent.session), latest, turns)

    def _collect(self, measured: ResponseUsage, ended_at: datetime) -> None:
        reading = self._reading or self._read()
        event_source = reading.event_source
        self._columns = {
            "tool": _stored(event_source.tool),
            "agent_session": _stored(event_source.agent_session),
        }
        if self._request_events is None:
            self._request_events = self._from_request(reading)
        response = self._response.events(reading.request, measured)
        events = [replace(event, at=ended_at) for event in response]
        first = len(self._request_events)
        self._events = self._request_events + sessions.prepare(self._session, event_source, events, first)

    def _from_request(self, reading: Reading) -> list[sessions.ReceivedEvent]:
        """The conversation's events that are not stored yet."""
        reading.request.limit(self._time_limit())
        new = self._new_events(reading)
        self._is_incomplete = self._is_incomplete or len(new) > MAX_EVENTS
        events = [_from_request(event, self._proxy_request.at) for event in new[-MAX_EVENTS:]]
        return sessions.prepare(self._session, reading.event_source, events)

    def _time_limit(self) -> Callable[[], bool]:
        """A function that returns whether this thread has used less than MAX_READING_SECONDS since now."""
        end = time.thread_time() + MAX_READING_SECONDS

        def has_time() -> bool:
            is_left = time.thread_time() < end
            self._is_incomplete = self._is_incomplete or not is_left
            return is_left

        return has_time

    def _new_events(self, reading: Reading) -> list[RecordedEvent]:
        """The events of the conversation's latest turns that are not stored, in order."""
        new: list[list[RecordedEvent]] = []
        some = reading.latest
        while some:
            new += self._missing(some, reading.event_source)
            some = list(islice(reading.earlier, TURNS_PER_QUERY)) if all(new) else []
        events = [event for turn in reversed(new) for event in turn]
        return self._without_forked(events, reading.event_source) if all(new) else events

    def _without_forked(self, events: list[RecordedEvent], event_source: EventSource) -> list[RecordedEvent]:
        """The events that are not stored for another agent session with the same calls: this one is a fork of it."""
        calls = [event for event in events if "toolUseId" in event.data][-MAX_SEARCHED_CALLS:]
        known = ModelUsage.agent_sessions(self._session, label(event_source.tool)) if calls else set()
        for agent_session in known - {event_source.agent_session}:
            other = event_source._replace(agent_session=agent_session)
            if sessions.stored_positions(self._session, other, calls):
                stored = sessions.stored_positions(self._session, other, events)
                events = [event for number, event in enumerate(events) if number not in stored]
        return events

    def _missing(
        self, turns: list[list[RecordedEvent]], event_source: EventSource
    ) -> Iterator[list[RecordedEvent]]:
        """The events of each turn that are not stored, up to the first turn without any."""
        stored = sessions.stored_positions(
            self._session, event_source, [event for turn in turns for event in turn]
        )
        position = 0
        for turn in turns:
            missing = [event for number, event in enumerate(turn, position) if number not in stored]
            yield missing
            if not missing:
                return
            position += len(turn)


def _from_request(event: RecordedEvent, at: datetime) -> RecordedEvent:
    """An event from the history in a request. A call in it is new only if its response was not recorded."""
    data = event.data | {"fromHistory": True} if event.kind == "tool_intent" else event.data
    return replace(event, data=data, at=at)


def _stored(name: str | None) -> str | None:
    """A name that the request chose, as a column has it."""
    return None if name is None else label(mask_text(name))


def _parsed(data: bytes) -> Any:
    if data == END_OF_CHAT:
        return data.decode()
    try:
        return orjson.loads(data)
    except ValueError:
        pass
    try:
        return json.loads(data)  # It reads lone surrogates too.
    except (ValueError, RecursionError):
        return None
