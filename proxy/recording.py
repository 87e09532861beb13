"""Record a model call: derive events from its request and response, and store them before the response ends (R36).

What a call did not store, because the database was away or the process stopped, is in the history of the next request.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol

import orjson

from errors import SessionClosed, Unauthenticated
from models import Session, db, sessions
from proxy.json_text import Value
from proxy.lazy_json import LazyObject
from rules.recorded_events import RecordedEvent, Witness
from rules.session_quota import Quota
from web.access_log import record_recording_failure

CHANNEL = "proxy"
# Turns of a conversation that one call stores, at most: a conversation may have started elsewhere.
MAX_TURNS = 100
# Of these, the turns that one query looks up. Usually the latest is new and the one before it is stored.
TURNS_PER_QUERY = 2

log = logging.getLogger("proofstone.proxy")


class Dialect(Protocol):
    """A module of rules/agents/, see rules/agents/dialect.py."""

    def read_request(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Any: ...

    def Response(self) -> Any: ...  # noqa: N802


class Arrival(NamedTuple):
    """A request that a recorder reads.

    headers -- their names in lower case
    """

    headers: Mapping[str, str]
    members: dict[str, Value]
    at: datetime


class Recorder:
    """Collects one response, and stores the events of the call."""

    def __init__(self, session: Session, dialect: Dialect, arrival: Arrival, quota: Quota):
        self._session = session
        self._dialect = dialect
        self._arrival = arrival
        self._quota = quota
        self._response = dialect.Response()

    def add(self, data: bytes) -> None:
        """Add an event of a stream, or a document."""
        part = _parsed(data)
        if part is not None:
            self._response.add(part)

    def store(self, facts: Any, ended_at: datetime) -> bool | None:
        """Store the call's events; returns whether it succeeded, None if the session may store none.

        Call it in a transaction, of which it undoes only its own part. It never raises.
        """
        try:
            with db.atomic():
                self._store(facts, ended_at)
        except (SessionClosed, Unauthenticated):
            return None
        except Exception:
            log.exception("Could not record a call. The next call of the conversation restores it.")
            record_recording_failure()
            return False
        return True

    def _store(self, facts: Any, ended_at: datetime) -> None:
        request = self._dialect.read_request(self._arrival.headers, LazyObject(self._arrival.members))
        agent = request.agent
        witness = Witness(CHANNEL, agent.tool, agent.version, agent.session)
        events = [replace(event, at=self._arrival.at) for event in self._new_events(request, witness)]
        events += [replace(event, at=ended_at) for event in self._response.events(request, facts)]
        sessions.record(self._session, witness, events, quota=self._quota)

    def _new_events(self, request: Any, witness: Witness) -> list[RecordedEvent]:
        """The events of the conversation's latest turns that are not stored, in order."""
        turns = (turn for turn in islice(request.turns(), MAX_TURNS) if turn)
        new: list[list[RecordedEvent]] = []
        while some := list(islice(turns, TURNS_PER_QUERY)):
            missing = list(self._missing(some, witness))
            new += missing
            if not all(missing):
                break
        return [event for turn in reversed(new) for event in turn]

    def _missing(
        self, turns: list[list[RecordedEvent]], witness: Witness
    ) -> Iterator[list[RecordedEvent]]:
        """The events of each turn that are not stored, up to the first turn without any."""
        stored = sessions.stored_ids(self._session, witness, [event for turn in turns for event in turn])
        position = 0
        for turn in turns:
            missing = [event for number, event in enumerate(turn, position) if number not in stored]
            yield missing
            if not missing:
                return
            position += len(turn)


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        pass
    try:
        return json.loads(data)  # It reads lone surrogates too.
    except (ValueError, RecursionError):
        return None
