"""What happened in a session: event by event, its decisions, what came out of it, and all of it as a file."""

from collections.abc import Iterator
from typing import Any

import orjson
from flask import Response, stream_with_context

from access import audit, auth
from access.auth import caller
from blueprints import Blueprint, find, or_not_found, page
from blueprints.sessions import shown
from errors import invalid
from models import ApiToken, CandidateKey, Session, overview, sessions, timeline
from rules import artifacts
from rules.activity import describe_activity
from rules.decisions import KINDS as DECISION_KINDS
from rules.decisions import read_decision
from rules.summaries import format_summary
from schemas.sessions import ReviewedSession
from schemas.timeline import (
    Artifacts,
    CursorQuery,
    Decisions,
    OneEvent,
    RecentActivity,
    RecentQuery,
    SessionQuery,
    Sessions,
    Timeline,
    TimelineQuery,
)
from web.json import UNSTORABLE

blp = Blueprint("Records", __name__, description="What happened in a session, event by event.")

EXPORT_SHAPE = {
    "type": "string",
    "description": 'JSON Lines: `{"session": ...}`, then each event as it came, in the order of the timeline.',
}


@blp.get("/sessions")
@auth.required(ApiToken)
@blp.arguments(SessionQuery, location="query")
@blp.response(200, Sessions)
def list_sessions(query):
    """List sessions

    A page of the sessions of all assessments, oldest first.
    """
    filters = {name: value for name, value in query.items() if name not in ("limit", "offset")}
    rows = overview.sessions(caller.organization, **filters)
    found = page("sessions", rows, query["limit"], query["offset"])
    return found | {"sessions": [_listed(row) for row in found["sessions"]]}


@blp.get("/sessions/<id:session_id>/timeline")
@auth.required(ApiToken)
@blp.arguments(TimelineQuery, location="query")
@blp.response(200, Timeline)
@audit.reading
def get_timeline(query, session_id):
    """Read the timeline

    A page of the session's events in the order in which they happened. `next` leads on from page to page.
    """
    session = find(Session, session_id)
    filters = {name: query.get(name) for name in ("kind", "without", "source", "actor")}
    is_full = query["detail"] == "full"
    found = timeline.page(session, query["limit"], _cursor(query), is_full, **filters)
    return {"events": [_event(event) for event in found.events], "next": found.next}


@blp.get("/sessions/<id:session_id>/timeline/<path:event_id>")
@auth.required(ApiToken)
@blp.response(200, OneEvent)
@audit.reading
def get_event(session_id, event_id):
    """Get an event

    One event as it came.
    """
    session = find(Session, session_id)
    event = None if UNSTORABLE.search(event_id) else timeline.find_event(session, event_id)
    return {"event": _event(or_not_found(event))}


@blp.get("/sessions/<id:session_id>/decisions")
@auth.required(ApiToken)
@blp.arguments(CursorQuery, location="query")
@blp.response(200, Decisions)
@audit.reading
def get_decisions(query, session_id):
    """Read the decisions

    What the candidate explained, and what the candidate answered to an agent's plans, in order.
    """
    session = find(Session, session_id)
    found = timeline.page(session, query["limit"], _cursor(query), full=True, kind=sorted(DECISION_KINDS))
    return {
        "decisions": [event | read_decision(event["envelope"]) for event in found.events],
        "next": found.next,
    }


@blp.get("/sessions/<id:session_id>/artifacts")
@auth.required(ApiToken)
@blp.response(200, Artifacts)
@audit.reading
def get_artifacts(session_id):
    """Get the artifacts

    The changed files with their latest content or diff and by whom they were changed, the commands, and the plans
    of the agents as they stood at last. Long contents are cut; the events have all of them.
    """
    found = artifacts.Artifacts()
    for event in timeline.artifact_events(find(Session, session_id), sorted(artifacts.KINDS)):
        found.add(event)
    return found


@blp.get("/sessions/<id:session_id>/export")
@auth.required(ApiToken)
@blp.alt_response(
    200, schema=EXPORT_SHAPE, content_type="application/x-ndjson", description="The session as a file."
)
@audit.reading
def export_session(session_id):
    """Export a session

    All of it as one JSON Lines file: first the session with its metrics, then each event as it came, late ones too,
    in the order of the timeline.
    """
    session = find(Session, session_id)
    sessions.settle(session)
    name = f'attachment; filename="session-{session.id}.jsonl"'
    return Response(
        stream_with_context(_export(session)),
        mimetype="application/x-ndjson",
        headers={"Content-Disposition": name},
    )


@blp.get("/sessions/<id:session_id>/recent-activity")
@auth.required(ApiToken | CandidateKey)
@blp.arguments(RecentQuery, location="query")
@blp.response(200, RecentActivity)
@audit.reading
def get_recent_activity(query, session_id):
    """Get the recent activity

    What arrived in the last minutes, for a candidate who explains a decision.
    """
    session, minutes = find(Session, session_id), query["minutes"]
    activity = timeline.recent_activity(session, minutes)
    return {
        "summary": describe_activity(minutes, activity),
        "recent_activity": activity,
        "period_minutes": minutes,
        "event_count": activity["event_count"],
    }


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    counts = {name: row[f"tests_{name}_count"] for name in ("passed", "failed", "skipped")}
    has_result = counts["passed"] is not None
    return row | {"test_result": counts | {"note": row["tests_note"]} if has_result else None}


def _cursor(query: dict[str, Any]) -> timeline.Cursor | None:
    if "after" not in query:
        return None
    try:
        return timeline.Cursor.parse(query["after"])
    except ValueError as error:
        raise invalid("after", str(error)) from None


def _event(row: dict[str, Any]) -> dict[str, Any]:
    """An event as it is shown; its envelope goes out as it came, unread."""
    shown_event = row | {"summary": format_summary(row["subject"], row["note"])}
    if "envelope" in row:
        shown_event["envelope"] = orjson.Fragment(row["envelope"])
    return shown_event


def _export(session: Session) -> Iterator[bytes]:
    yield orjson.dumps({"session": ReviewedSession().dump(shown(session.id))}) + b"\n"
    for event in timeline.read_all(session):
        yield timeline.jsonl(event["envelope"])
