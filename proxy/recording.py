"""Record a model call: derive events from its request and response, and store them before the response ends (R36).

Each text is stored once in a session (R46). Texts of a request's history that are in no event become `context` events,
for example after a call whose events were not stored.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson

from errors import SessionClosed, Unauthenticated
from models import ModelUsage, RecordedText, Session, sessions
from models.database import connection
from proxy.usage_reader import END_OF_CHAT
from rules.events.envelopes import label
from rules.events.masking import mask_text
from rules.events.recorded_events import (
    CONTEXT,
    MAX_EVENT_BYTES,
    EventSource,
    RecordedEvent,
    ResponseUsage,
    serialize,
)
from rules.lenient_json import parse_json
from rules.session_quota import Quota
from web.access_log import record_recording_failure

CHANNEL = "proxy"
# Maximum number of events that one call stores. Other requests wait while they are written.
MAX_EVENTS = 2_000
# Once a call's `context` events have this many characters, others are left to the conversation's next call.
MAX_CHARACTERS = 8 * 2**20
# An event's other fields are shorter than the difference.
MAX_WHOLE_BYTES = MAX_EVENT_BYTES - 4096
# Number of most recent calls to look up in other agent sessions.
MAX_SEARCHED_CALLS = 20
# CPU time limit for reading a request's calls and the files they changed, and for finding its texts in other events.
# Meanwhile, the process's other threads wait.
MAX_READING_SECONDS = 1.0
# A tool without session ids that repeats a conversation's first call within this time retries it.
MAX_RETRY_AGE = timedelta(minutes=10)

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
        self._unreadable: list[str] = []
        self._keys: set[str] = set()
        self._columns: dict[str, Any] = {}
        self._request_events: list[sessions.ReceivedEvent] | None = None
        self._events: list[sessions.ReceivedEvent] = []
        self._is_prepared = False
        self._is_incomplete = False
        self._has_failed = False

    def add(self, data: bytes) -> None:
        """Add an event of a streamed response, or a complete response body. Never raises."""
        part = _parse(data)
        if part is None:
            self._unreadable.append(data.decode(errors="replace"))
        if part is None or self._has_failed:
            return
        try:
            self._response.add(part)
        except Exception:
            self.fail()

    def skip(self) -> None:
        """Mark the recording as incomplete: a part of the response was too long to be read."""
        self._is_incomplete = True

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
            response_events += self._response_contexts(response_events)
            agent_id = self._request.agent.agent_id
            events = [replace(event, at=ended_at, agent_id=agent_id) for event in response_events]
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
            if not self._events:
                if self._session.is_erased_when_locked():
                    return {}
                if self._has_failed:
                    return self.columns  # Its texts are not stored, so the next call must store them.
            outcomes = sessions.store_prepared(self._session, self._events, quota=self._quota)
            if "full" in outcomes or self._is_replaced(outcomes):
                self._is_incomplete = True
            else:
                RecordedText.add(self._session, self._keys)
        except (SessionClosed, Unauthenticated):
            return {}
        return self.columns

    def _is_replaced(self, outcomes: list[str]) -> bool:
        """Return whether a parallel call stored an event of this request with other data, such as a tool's result."""
        skipped = [
            event
            for event, outcome in zip(self._request_events or (), outcomes, strict=False)
            if outcome == "skipped"
        ]
        return bool(skipped) and sessions.differ_from_stored(self._session, skipped)

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the call's ModelUsage."""
        return self._columns | {"is_recorded": not self._has_failed and not self._is_incomplete}

    def fail(self) -> None:
        """Log the current exception: the call's events could not be stored."""
        self._has_failed = True
        log.exception("Could not record a call. Its texts are recorded with the conversation's next call.")
        record_recording_failure()

    def _read_request(self) -> list[sessions.ReceivedEvent]:
        """Return the request's events that are not stored yet."""
        self._request, limit = self._dialect.read_request(self._headers, self._body), _TimeLimit()
        self._request.limit(limit)
        agent, latest = self._request.agent, self._request.latest_events()
        self._event_source = EventSource(CHANNEL, agent.tool, agent.version, agent.session)
        responses = [event for event in latest if _is_response(event)]
        if agent.has_derived_session:
            self._event_source = self._event_source._replace(agent_session=self._find_conversation(responses))
        self._columns = {"tool": _mask(agent.tool), "agent_session": _mask(self._event_source.agent_session)}
        events = self._new_events([event for event in latest if not _is_response(event)])
        self._is_incomplete |= limit.is_exceeded or self._request.is_limited or len(events) > MAX_EVENTS
        events = events[-MAX_EVENTS:]
        events += self._request_contexts(events)
        events = [replace(event, at=self._received_at, agent_id=agent.agent_id) for event in events]
        return sessions.prepare(self._session, self._event_source, events)

    def _request_contexts(self, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """Return an event for each text of the request that is in no event.

        events -- the request's other events
        """
        positions: dict[str, int] = {}
        for key, position in self._request.positions():
            positions.setdefault(key, position)
        unknown = RecordedText.unknown(self._session, positions)
        strings, characters, limit = _strings(events), 0, _TimeLimit()
        contexts: list[RecordedEvent] = []
        for position in sorted({positions[key] for key in unknown}):
            for text, is_history in self._request.texts(position):
                new_keys = unknown & text.keys
                if not new_keys:
                    continue
                has_space = len(events) + len(contexts) < MAX_EVENTS and characters <= MAX_CHARACTERS
                # At least one text per call: finding it may take longer in every call.
                if not has_space or (self._keys and not limit()):
                    self._is_incomplete = True
                    return contexts
                unknown -= new_keys
                self._keys |= new_keys
                if content := text.without([] if is_history else strings, limit):
                    contexts.append(text.event(content, new_keys, is_history=is_history))
                    characters += len(content)
        return contexts

    def _response_contexts(self, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """Return an event for each text of the response that is in no other event."""
        strings, contexts = _strings(events), {}
        calls = {event.data.get("toolUseId") for event in events} - {None}
        for text in self._response.texts():
            new = text.beyond_intent if text.call_id in calls else text
            if text.key not in self._keys and new and (content := new.without(strings)):
                contexts[text.key] = new.event(content, text.keys)
            self._keys |= text.keys
        for raw in self._unreadable:
            data = {"role": "assistant", "type": "unreadable", "text": raw}
            contexts[raw] = RecordedEvent(CONTEXT, data, raw)
        return list(contexts.values())

    def _find_conversation(self, responses: list[RecordedEvent]) -> str:
        """Return the agent session of a conversation that has no id of its own.

        Conversations with the same first message differ by the time of their start, and later by their responses.

        responses -- the events of the latest response in the history
        """
        derived = self._event_source.agent_session
        conversations = ModelUsage.conversations(self._session, derived)
        if not conversations:
            return derived
        newest, started_at = conversations[0]
        if self._request.is_opening:
            is_retry = self._received_at - started_at < MAX_RETRY_AGE
            return newest if is_retry else f"{derived}-{self._received_at:%Y-%m-%dT%H:%M}"
        sources = (self._event_source._replace(agent_session=name) for name, _ in conversations)
        stored = (
            source.agent_session
            for source in sources
            if sessions.stored_positions(self._session, source, responses)
        )
        return next(stored, newest)

    def _new_events(self, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """Return the events that are neither stored nor from the agent session from which this one was forked."""
        new = self._not_stored(self._event_source, events)
        calls = [event for event in new if "toolUseId" in event.data][-MAX_SEARCHED_CALLS:]
        tool = label(self._event_source.tool)
        agent_sessions = ModelUsage.agent_sessions(self._session, tool) if calls else set()
        for agent_session in agent_sessions - {self._event_source.agent_session}:
            original = self._event_source._replace(agent_session=agent_session)
            if len(self._not_stored(original, calls)) < len(calls):
                new = self._not_stored(original, new)
        return new

    def _not_stored(self, source: EventSource, events: list[RecordedEvent]) -> list[RecordedEvent]:
        stored = sessions.stored_positions(self._session, source, events)
        return [event for number, event in enumerate(events) if number not in stored]


class _TimeLimit:
    """The CPU time that this thread has left to read a request."""

    def __init__(self) -> None:
        self._end = time.thread_time() + MAX_READING_SECONDS
        self.is_exceeded = False

    def __call__(self) -> bool:
        self.is_exceeded = self.is_exceeded or time.thread_time() >= self._end
        return not self.is_exceeded


def _is_response(event: RecordedEvent) -> bool:
    """Return whether the event is a response or its call, and not the person's command."""
    return event.kind == "ai_response" or (event.kind == "tool_intent" and "toolUseId" in event.data)


def _strings(events: Iterable[RecordedEvent]) -> list[str]:
    """Return the events' strings, except those of events that will be truncated."""
    whole = (event for event in events if len(serialize(event.data).encode()) <= MAX_WHOLE_BYTES)
    return [value for event in whole for value in event.data.values() if isinstance(value, str)]


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
