"""What recorded a session, and how completely: channels, tools, agent sessions, silences.

Times are those of arrival, by the server's clock. Late events are left out.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import peewee

from models.database import is_postgres
from models.sessions import Counting, Event, Session
from rules import witnesses
from rules.envelopes import CHANGE_KINDS
from rules.recorded_events import CHANNELS

SILENCE = timedelta(minutes=10)
# A client can invent any number of tools and agent sessions.
MAX_GROUPS = 1_000
MAX_LISTED = 200
CLIENT = "client"
_COUNTED = {"prompts": {"prompt"}, "commands": {"command"}, "changes": CHANGE_KINDS}

Row = dict[str, Any]


def capture(session: Session) -> dict[str, Any]:
    """The members of schemas.sessions.Capture."""
    groups = _groups(session)
    return {
        "channels": _merge(groups, "channel"),
        "tools": _with_counts(session, _merge(groups, "tool")),
        "agent_sessions": list(_agent_sessions(session, groups)),
        "gaps": list(_gaps(session))[:MAX_LISTED],
    }


def _on_time(session: Session) -> Any:
    return Event.select().where(Event.session == session, ~Event.late)


def _groups(session: Session) -> list[Row]:
    """The number of events and their first and last arrival by channel, tool and agent session, first one first."""
    columns = (Event.channel, Event.source.alias("tool"), Event.agent_session)
    times = (
        peewee.fn.MIN(Event.received_at).alias("first_at"),
        peewee.fn.MAX(Event.received_at).alias("last_at"),
    )
    query = _on_time(session).select(*columns, peewee.fn.COUNT(Event.seq).alias("events"), *times)
    query = query.group_by(Event.channel, Event.source, Event.agent_session)
    rows = query.order_by(peewee.fn.MIN(Event.seq)).limit(MAX_GROUPS).dicts()
    return [row | {"channel": row["channel"] or CLIENT} for row in rows]


def _merge(groups: list[Row], name: str) -> list[Row]:
    """The groups by one of their members; those without it are left out."""
    merged: dict[str, Row] = {}
    for group in groups:
        if group[name] is not None:
            row = merged.setdefault(group[name], group | {"events": 0})
            row["events"] += group["events"]
            row["first_at"] = min(row["first_at"], group["first_at"])
            row["last_at"] = max(row["last_at"], group["last_at"])
    return list(merged.values())[:MAX_LISTED]


def _agent_sessions(session: Session, groups: list[Row]) -> Iterator[Row]:
    """The agent sessions with the channels that saw them. A subagent is a part of another session."""
    subagents = _subagent_keys(session)
    for row in _merge(groups, "agent_session"):
        seen_by = {group["channel"] for group in groups if group["agent_session"] == row["agent_session"]}
        if seen_by != {"otlp"} or witnesses.subagent_key(row["agent_session"]) not in subagents:
            yield row | {"channels": sorted(seen_by), "one_witness_only": len(seen_by) == 1}


def _subagent_keys(session: Session) -> set[str]:
    """The keys of the subagents that the proxy has seen, and that telemetry has as sessions of their own."""
    named = _on_time(session).where(Event.channel == CHANNELS[0], Event.joins.contains(witnesses.SUBAGENT))
    rows = named.select(Event.joins).limit(MAX_GROUPS).tuples()
    return {key for (joins,) in rows for key in joins.split() if key.startswith(witnesses.SUBAGENT)}


def _with_counts(session: Session, tools: list[Row]) -> list[Row]:
    """The tools with the number of their prompts, commands and changes that count (R36)."""
    by_tool = {row["tool"]: row | dict.fromkeys(_COUNTED, 0) for row in tools}
    counting = Counting(session)
    kinds = [kind for kinds in _COUNTED.values() for kind in kinds]
    events = _on_time(session).where(Event.kind.in_(kinds))
    # Only channels that have the same calls need a look at each event.
    each = (Event.seq,) if counting.superseded else ()
    columns = (Event.late, Event.channel, Event.source, Event.kind)
    query = events.select(*columns, *each, peewee.fn.COUNT(Event.seq).alias("events")).group_by(
        *columns, *each
    )
    for row in query.dicts():
        tool = by_tool.get(row["source"])
        if tool and counting.counts({"seq": None} | row):
            tool[next(name for name, kinds in _COUNTED.items() if row["kind"] in kinds)] += row["events"]
    return list(by_tool.values())


def _gaps(session: Session) -> Iterator[Row]:
    """The silences longer than SILENCE between events."""
    minute: Any = peewee.fn.SUBSTR(Event.received_at, 1, 16)
    if is_postgres():
        minute = peewee.fn.DATE_TRUNC("minute", Event.received_at)
    times = (peewee.fn.MIN(Event.received_at), peewee.fn.MAX(Event.received_at))
    minutes = _on_time(session).select(*times).group_by(minute).order_by(times[0]).tuples()
    for (_, last), (first, _) in pairwise(minutes):
        if first - last > SILENCE:
            yield {"started_at": last, "ended_at": first}
