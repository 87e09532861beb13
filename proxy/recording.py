"""Record a model call: derive events from its request and response, and store them before the response ends (R36).

If a call's events are not stored, because the database was unavailable or the process stopped, the conversation's next
request restores them from its history.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any, Protocol

import orjson

from errors import SessionClosed, Unauthenticated
from models import ModelUsage, Session, sessions
from models.database import connection
from proxy.usage_reader import END_OF_CHAT
from rules.events.envelopes import label
from rules.events.masking import mask_text
from rules.events.recorded_events import EventSource, RecordedEvent, ResponseUsage
from rules.lenient_json import parse_json
from rules.session_quota import Quota
from web.access_log import record_recording_failure

CHANNEL = "proxy"
# Maximum number of turns that one call stores. The conversation may have started elsewhere.
MAX_TURNS = 100
# Maximum number of events that one call stores. Other requests wait while they are written.
MAX_EVENTS = 2_000
# Once the events of the latest turns have this many characters, earlier turns are not read.
MAX_CHARACTERS = 8 * 2**20
# Number of most recent calls to look up in other agent sessions.
MAX_SEARCHED_CALLS = 20
# CPU time limit for reading a request's calls and the files they changed. Meanwhile, the process's other threads wait.
MAX_READING_SECONDS = 1.0
# A tool without session ids that repeats a conversation's first call within this time retries it.
MAX_RETRY_AGE = timedelta(minutes=10)
# Number of turns per query. Usually the latest turn is new, and the previous one is stored.
TURNS_PER_QUERY = 2

log = logging.getLogger("proofstone.proxy")


class Dialect(Protocol):
    """A module of rules/agents/model_apis/."""

    def read_request(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Any: ...

    def Response(self) -> Any: ...


class Recorder:
    """Collects and stores the events of one call. The candidate has consented to recording (R38).

    headers -- the request's headers, with lower-case names
    body -- the request's body
    """

    def __init__(
        self,
        session: Session,
        dialect: Dialect,
        headers: Mapping[str, str],
        body: Mapping[str, Any],
        received_at: datetime,
        quota: Quota,
    ):
        self._session = session
        self._dialect = dialect
        self._headers, self._body = headers, body
        self._received_at = received_at
        self._quota = quota
        self._request: Any = None
        self._response = dialect.Response()
        self._columns: dict[str, Any] = {}
        self._request_events: list[sessions.ReceivedEvent] | None = None
        self._events: list[sessions.ReceivedEvent] = []
        self._is_prepared = False
        self._is_incomplete = False
        self._has_failed = False

    def add(self, data: bytes) -> None:
        """Add an event of a streamed response, or a complete response body. Never raises."""
        part = _parse(data)
        if part is None or self._has_failed:
            return
        try:
            self._response.add(part)
        except Exception:
            self.fail()

    def prepare(self) -> None:
        """Collect the request's events while the model generates. Never raises."""
        if not self._is_prepared:
            self._is_prepared = True
            with suppress(Exception), connection():
                self._request_events = self._read_request()

    def collect(self, usage: ResponseUsage, ended_at: datetime) -> None:
        """Collect the call's events after its response. Never raises.

        Call this before the transaction, which can block other requests.
        """
        try:
            if self._request_events is None:
                self._request_events = self._read_request()
            response_events = self._response.events(self._request, usage)
            events = [replace(event, at=ended_at) for event in response_events]
            first = len(self._request_events)
            prepared = sessions.prepare(self._session, self._event_source, events, first)
            self._events = self._request_events + prepared
        except Exception:
            self.fail()

    def store(self) -> dict[str, Any]:
        """Store the events in the current transaction. Returns `columns`, or {} if the session accepts no events.

        If this raises, roll back the transaction and call `fail`.
        """
        try:
            sessions.store_prepared(self._session, self._events, quota=self._quota)
        except (SessionClosed, Unauthenticated):
            return {}
        return self.columns

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the call's ModelUsage."""
        return self._columns | {"is_recorded": not self._has_failed and not self._is_incomplete}

    def fail(self) -> None:
        """Log the current exception: the call's events could not be stored."""
        self._has_failed = True
        log.exception("Could not record a call. The conversation's next call restores the missing events.")
        record_recording_failure()

    def _read_request(self) -> list[sessions.ReceivedEvent]:
        """Return the conversation's events that are not stored yet."""
        self._request = self._dialect.read_request(self._headers, self._body)
        self._request.limit(self._time_limit())
        agent = self._request.agent
        turns: Iterator[list[RecordedEvent]] = filter(None, islice(self._request.turns(), MAX_TURNS))
        self._event_source = EventSource(CHANNEL, agent.tool, agent.version, agent.session)
        if agent.has_derived_session:
            latest = next(turns, [])
            self._event_source = self._event_source._replace(agent_session=self._find_conversation(latest))
            turns = chain([latest] if latest else [], turns)
        self._columns = {"tool": _mask(agent.tool), "agent_session": _mask(self._event_source.agent_session)}
        new = self._new_events(turns)
        self._is_incomplete |= self._request.is_limited or len(new) > MAX_EVENTS
        events = [_from_history(event, self._received_at) for event in new[-MAX_EVENTS:]]
        return sessions.prepare(self._session, self._event_source, events)

    def _find_conversation(self, latest: list[RecordedEvent]) -> str:
        """Return the agent session of a conversation that has no id of its own.

        Conversations with the same first message differ by the time of their start, and later by their responses.

        latest -- the events of the latest turn
        """
        derived = self._event_source.agent_session
        conversations = ModelUsage.conversations(self._session, derived)
        if not conversations:
            return derived
        newest, started_at = conversations[0]
        if self._request.is_opening:
            is_retry = self._received_at - started_at < MAX_RETRY_AGE
            return newest if is_retry else f"{derived}-{self._received_at:%Y-%m-%dT%H:%M}"
        responses = [event for event in latest if event.kind in ("ai_response", "tool_intent")]
        sources = (self._event_source._replace(agent_session=name) for name, _ in conversations)
        stored = (
            source.agent_session
            for source in sources
            if sessions.stored_positions(self._session, source, responses)
        )
        return next(stored, newest)

    def _time_limit(self) -> Callable[[], bool]:
        """Return a function that checks whether this thread has CPU time left."""
        end = time.thread_time() + MAX_READING_SECONDS

        def has_time() -> bool:
            has_time_left = time.thread_time() < end
            self._is_incomplete = self._is_incomplete or not has_time_left
            return has_time_left

        return has_time

    def _new_events(self, turns: Iterator[list[RecordedEvent]]) -> list[RecordedEvent]:
        """Return the events after the latest stored turn, in order."""
        new: list[list[RecordedEvent]] = []
        characters = 0
        while all(new) and (latest := list(islice(turns, TURNS_PER_QUERY))):
            if characters > MAX_CHARACTERS:
                self._is_incomplete = True
                break
            missing = list(self._missing_events(latest))
            characters += sum(event.characters for turn in missing for event in turn)
            new += missing
        events = [event for turn in reversed(new) for event in turn]
        return self._without_forked(events) if all(new) else events

    def _without_forked(self, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """Remove events that are already stored for the agent session from which this one was forked.

        A fork's history contains the calls of the original agent session.
        """
        calls = [event for event in events if "toolUseId" in event.data][-MAX_SEARCHED_CALLS:]
        tool = label(self._event_source.tool)
        agent_sessions = ModelUsage.agent_sessions(self._session, tool) if calls else set()
        for agent_session in agent_sessions - {self._event_source.agent_session}:
            original = self._event_source._replace(agent_session=agent_session)
            if sessions.stored_positions(self._session, original, calls):
                stored = sessions.stored_positions(self._session, original, events)
                events = [event for number, event in enumerate(events) if number not in stored]
        return events

    def _missing_events(self, turns: list[list[RecordedEvent]]) -> Iterator[list[RecordedEvent]]:
        """Yield the events of each turn that are not stored. Stops after a turn whose events are all stored."""
        events = [event for turn in turns for event in turn]
        stored = sessions.stored_positions(self._session, self._event_source, events)
        position = 0
        for turn in turns:
            missing = [event for number, event in enumerate(turn, position) if number not in stored]
            yield missing
            if not missing:
                return
            position += len(turn)


def _from_history(event: RecordedEvent, at: datetime) -> RecordedEvent:
    """Build an event from the request's history. Flags tool calls, because their response was not recorded."""
    data = event.data | {"fromHistory": True} if event.kind == "tool_intent" else event.data
    return replace(event, data=data, at=at)


def _mask(name: str | None) -> str | None:
    """Mask secrets in a name from the request."""
    return None if name is None else label(mask_text(name))


def _parse(data: bytes) -> Any:
    if data == END_OF_CHAT:
        return data.decode()
    with suppress(ValueError):
        return orjson.loads(data)
    with suppress(ValueError, RecursionError):
        return parse_json(data)  # Accepts lone surrogates.
    return None
