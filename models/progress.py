"""What has arrived of a session so far, for its candidate."""

from datetime import datetime
from typing import Any, NamedTuple

import peewee

from models.sessions import Event, Session
from rules.envelopes import CHANGE_KINDS
from rules.recorded_events import CHANNELS

_COUNTED = {"prompt": "prompts", "command": "commands"} | dict.fromkeys(CHANGE_KINDS, "changes")


class Progress(NamedTuple):
    """Counts of a session's events, and when the last arrived.

    is_from_client -- the candidate's client sends events
    """

    prompts: int
    commands: int
    changes: int
    last_received_at: datetime | None
    is_from_client: bool


def progress(session: Session) -> Progress:
    """Count each kind of event from the first channel that has it: others may have seen the same calls (R36)."""
    counts: dict[str | None, dict[str, int]] = {}
    last = None
    for channel, kind, count, received_at in _rows(session):
        last = max(last or received_at, received_at)
        by_name = counts.setdefault(channel, dict.fromkeys(_COUNTED.values(), 0))
        if kind in _COUNTED:
            by_name[_COUNTED[kind]] += count
    channels = [None] if None in counts else [channel for channel in CHANNELS if channel in counts]
    best = {name: _first(counts[channel][name] for channel in channels) for name in set(_COUNTED.values())}
    return Progress(**best, last_received_at=last, is_from_client=None in counts)


def _rows(session: Session) -> Any:
    columns = (Event.channel, Event.kind, peewee.fn.COUNT(Event.seq), peewee.fn.MAX(Event.received_at))
    rows = Event.select(*columns).where(Event.session == session).group_by(Event.channel, Event.kind)
    return rows.tuples()


def _first(counts: Any) -> int:
    """The first number that is not 0."""
    return next(filter(None, counts), 0)
