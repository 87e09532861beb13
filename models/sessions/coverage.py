"""Session coverage: the channels, tools and agent sessions that recorded it, and gaps in the recording.

Uses the server's arrival times. Excludes late events.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import peewee

from models.database import is_postgres
from models.sessions import CountedEvents, Event, Session
from models.sessions.model_usage import ModelUsage
from rules.events import duplicates
from rules.events.envelopes import CHANGE_KINDS
from rules.events.recorded_events import CHANNELS, CLIENT

GAP = timedelta(minutes=10)
# A client can make up any number of tools and agent sessions.
MAX_GROUPS = 1_000
MAX_LISTED = 200
_COUNTED = {"prompts": {"prompt"}, "commands": {"command"}, "changes": CHANGE_KINDS}
_GROUPED = (Event.channel, Event.source.alias("tool"), Event.agent_session)
_NAMES = {kind: name for name, kinds in _COUNTED.items() for kind in kinds}

Row = dict[str, Any]


def read_coverage(session: Session, counted: CountedEvents | None = None) -> dict[str, Any]:
    """Return the fields of `schemas.sessions.Coverage`."""
    groups, counted = _groups(session, *_GROUPED), counted or CountedEvents(session)
    work = list(_work(session, counted.superseded | counted.repeated))
    return {
        "metrics_from": _metrics_from(counted),
        "model_calls": ModelUsage.recorded_calls(session),
        "channels": _channels(work, counted, _groups(session, Event.channel)),
        "tools": _tools(work, counted, groups),
        "agent_sessions": list(_agent_sessions(session, groups)),
        "gaps": list(_gaps(session))[:MAX_LISTED],
    }


def read_received(session: Session) -> dict[str, Any]:
    """Return the events received by tool, and the time of the last event, for the candidate's page."""
    groups, counted = _groups(session, *_GROUPED), CountedEvents(session)
    return {
        "received": _tools(_work(session, counted.superseded), counted, groups),
        "last_received_at": max((group["last_at"] for group in groups), default=None),
    }


def _on_time(session: Session) -> Any:
    return Event.select().where(Event.session == session, ~Event.late)


def _groups(session: Session, *columns: Any) -> list[Row]:
    """Count events by these columns, with the first and last arrival; oldest first."""
    times = (
        peewee.fn.MIN(Event.received_at).alias("first_at"),
        peewee.fn.MAX(Event.received_at).alias("last_at"),
    )
    query = _on_time(session).select(*columns, peewee.fn.COUNT(Event.seq).alias("events"), *times)
    query = query.group_by(*columns)
    rows = query.order_by(peewee.fn.MIN(Event.seq)).limit(MAX_GROUPS).dicts()
    return [row | {"channel": row["channel"] or CLIENT} for row in rows]


def _merge(groups: list[Row], name: str) -> list[Row]:
    """Merge groups by a field. Skips groups without it."""
    merged: dict[str, Row] = {}
    for group in groups:
        if group[name] is not None:
            row = merged.setdefault(group[name], group | {"events": 0})
            row["events"] += group["events"]
            row["first_at"] = min(row["first_at"], group["first_at"])
            row["last_at"] = max(row["last_at"], group["last_at"])
    return list(merged.values())[:MAX_LISTED]


def _agent_sessions(session: Session, groups: list[Row]) -> Iterator[Row]:
    """Yield the agent sessions with the channels that recorded them.

    Skips subagent sessions reported by Codex's telemetry: the proxy recorded them in their parent's session.
    """
    with_subagents = _on_time(session).where(
        Event.channel == CHANNELS[0], Event.joins.contains(duplicates.SUBAGENT)
    )
    rows = with_subagents.select(Event.joins).limit(MAX_GROUPS).tuples()
    subagents = {key for (joins,) in rows for key in joins.split() if key.startswith(duplicates.SUBAGENT)}
    for row in _merge(groups, "agent_session"):
        recorded_by = {group["channel"] for group in groups if group["agent_session"] == row["agent_session"]}
        if recorded_by != {"otlp"} or duplicates.subagent_key(row["agent_session"]) not in subagents:
            yield row | {"channels": sorted(recorded_by), "one_channel_only": len(recorded_by) == 1}


def _metrics_from(counted: CountedEvents) -> str | None:
    if counted.has_client:
        return CLIENT
    return "channels" if counted.on_time else None


def _channels(work: Iterable[Row], counted: CountedEvents, groups: list[Row]) -> list[Row]:
    """Return the channels, with the number of prompts, commands and changes that each recorded."""
    by_channel = {row["channel"]: row | dict.fromkeys(_COUNTED, 0) for row in groups}
    for row in work:
        channel = row["channel"] or CLIENT
        if channel in by_channel and row["seq"] not in counted.repeated:
            by_channel[channel][_NAMES[row["kind"]]] += row["count"]
    return list(by_channel.values())


def _tools(work: Iterable[Row], counted: CountedEvents, groups: list[Row]) -> list[Row]:
    """Return the tools, with the number of counted prompts, commands and changes (R36)."""
    by_tool = {row["tool"]: row | dict.fromkeys(_COUNTED, 0) for row in _merge(groups, "tool")}
    for row in work:
        if row["source"] in by_tool and counted.includes(row):
            by_tool[row["source"]][_NAMES[row["kind"]]] += row["count"]
    return list(by_tool.values())


def _work(session: Session, excluded: set[int]) -> Iterator[Row]:
    """Count prompts, commands and changes by channel, tool and kind. Reads single events only if some are excluded."""
    columns = (Event.channel, Event.source, Event.kind, *([Event.seq] if excluded else []))
    count = peewee.fn.COUNT(Event.seq).alias("count")
    query = _on_time(session).select(*columns, count).where(Event.kind.in_(list(_NAMES))).group_by(*columns)
    for row in query.dicts():
        yield {"late": False, "seq": None} | row


def _gaps(session: Session) -> Iterator[Row]:
    """Yield the periods longer than GAP without an event."""
    minute: Any = peewee.fn.SUBSTR(Event.received_at, 1, 16)
    if is_postgres():
        minute = peewee.fn.DATE_TRUNC("minute", Event.received_at)
    times = (peewee.fn.MIN(Event.received_at), peewee.fn.MAX(Event.received_at))
    minutes = _on_time(session).select(*times).group_by(minute).order_by(times[0]).tuples()
    for (_, last), (first, _) in pairwise(minutes):
        if first - last > GAP:
            yield {"started_at": last, "ended_at": first}
