"""Record a model call: derive events from its request and response, and store them before the response ends (R36).

Events that a call could not store, because the database was unavailable or the process stopped, are restored from the
history in the conversation's next request.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol

import orjson

from errors import SessionClosed, Unauthenticated
from models import Session, sessions
from proxy.lazy_json import LazyObject
from proxy.usage_reader import END_OF_CHAT
from rules.envelopes import label
from rules.recorded_events import RecordedEvent, ResponseFacts, Witness
from rules.session_quota import Quota
from web.access_log import record_recording_failure

CHANNEL = "proxy"
# The most turns of a conversation that one call stores: a conversation may have started elsewhere.
MAX_TURNS = 100
# The turns that one query looks up. Usually the latest is new and the one before it is stored.
TURNS_PER_QUERY = 2

log = logging.getLogger("proofstone.proxy")


class Dialect(Protocol):
    """A module of rules/agents/, see rules/agents/dialect.py."""

    def read_request(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Any: ...

    def Response(self) -> Any: ...


class Arrival(NamedTuple):
    """A request that a recorder reads.

    headers -- their names in lower case
    """

    headers: Mapping[str, str]
    body: LazyObject
    at: datetime


class Reading(NamedTuple):
    """A request, its latest turns, and those before them, which are read when they are needed."""

    request: Any
    witness: Witness
    latest: list[list[RecordedEvent]]
    earlier: Iterator[list[RecordedEvent]]


class Recorder:
    """Collects one response, and stores the events of a call whose candidate has agreed to it (R38)."""

    def __init__(self, session: Session, dialect: Dialect, arrival: Arrival, quota: Quota):
        self._session = session
        self._dialect = dialect
        self._arrival = arrival
        self._quota = quota
        self._response = dialect.Response()
        self._reading: Reading | None = None
        self._is_prepared = False
        self._has_failed = False

    def add(self, data: bytes) -> None:
        """Add an event of a stream, or a document. It never raises."""
        part = _parsed(data)
        if part is None or self._has_failed:
            return
        try:
            self._response.add(part)
        except Exception:
            self._fail()

    def prepare(self) -> None:
        """Read the request's latest turns. `store` would do it too, but then the client waits. It never raises."""
        if not self._is_prepared:
            self._is_prepared = True
            with suppress(Exception):
                self._reading = self._read()

    def store(self, facts: ResponseFacts, ended_at: datetime) -> dict[str, Any]:
        """Store the call's events; returns columns of its ModelUsage. `is_recorded` is None if nothing may be stored.

        Call it in a transaction, of which `append` undoes its own part if it fails. It never raises.
        """
        columns: dict[str, Any] = {}
        try:
            reading = self._reading or self._read()
            witness = reading.witness
            columns = {"tool": label(witness.tool), "agent_session": label(witness.agent_session)}
            self._store(reading, facts, ended_at)
        except (SessionClosed, Unauthenticated):
            return {}
        except Exception:
            self._fail()
        return columns | {"is_recorded": not self._has_failed}

    def _fail(self) -> None:
        self._has_failed = True
        log.exception("Could not record a call. The conversation's next call restores what is missing.")
        record_recording_failure()

    def _read(self) -> Reading:
        request = self._dialect.read_request(self._arrival.headers, self._arrival.body)
        agent = request.agent
        turns = (turn for turn in islice(request.turns(), MAX_TURNS) if turn)
        latest = list(islice(turns, TURNS_PER_QUERY))
        return Reading(request, Witness(CHANNEL, agent.tool, agent.version, agent.session), latest, turns)

    def _store(self, reading: Reading, facts: ResponseFacts, ended_at: datetime) -> None:
        events = [replace(event, at=self._arrival.at) for event in self._new_events(reading)]
        events += [replace(event, at=ended_at) for event in self._response.events(reading.request, facts)]
        sessions.record(self._session, reading.witness, events, quota=self._quota, has_consent=True)

    def _new_events(self, reading: Reading) -> list[RecordedEvent]:
        """The events of the conversation's latest turns that are not stored, in order."""
        new: list[list[RecordedEvent]] = []
        some = reading.latest
        while some:
            new += self._missing(some, reading.witness)
            some = list(islice(reading.earlier, TURNS_PER_QUERY)) if all(new) else []
        return [event for turn in reversed(new) for event in turn]

    def _missing(self, turns: list[list[RecordedEvent]], witness: Witness) -> Iterator[list[RecordedEvent]]:
        """The events of each turn that are not stored, up to the first turn without any."""
        stored = sessions.stored_positions(
            self._session, witness, [event for turn in turns for event in turn]
        )
        position = 0
        for turn in turns:
            missing = [event for number, event in enumerate(turn, position) if number not in stored]
            yield missing
            if not missing:
                return
            position += len(turn)


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
