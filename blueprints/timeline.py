"""Sessions and their events: timeline, decisions, artifacts, export and recent activity."""

from collections.abc import Iterator
from typing import Any

import orjson
from flask import request

from access import audit, auth, caller, concurrency, etags
from blueprints import Blueprint, file_response, find, get_filters, or_not_found, page
from blueprints.sessions import session_state
from models import (
    ApiToken,
    CandidateKey,
    Event,
    Session,
    TestRun,
    batches,
    clock,
    overview,
    sessions,
    visibility,
)
from models.sessions import timeline
from models.tasks.runs import hidden_tests
from rules import moments
from rules.events import artifacts, duplicates
from rules.events.activity import describe_activity
from rules.events.design_decisions import KINDS as DECISION_KINDS
from rules.events.design_decisions import read_decision
from rules.events.summaries import format_summary
from rules.timestamps import format_timestamp, timestamp_from_ns
from schemas import test_runs
from schemas import timeline as schemas
from schemas.sessions import ReviewedSession
from web.compression import with_compression
from web.json import UNSTORABLE

blp = Blueprint("Records", __name__, description="Session events, and the list of sessions.")


@blp.get("/sessions")
@auth.required(ApiToken)
@blp.arguments(schemas.SessionQuery, location="query")
@blp.response(200, schemas.Sessions)
def list_sessions(query):
    """List sessions

    A page of sessions across all assessments, oldest first.
    """
    response = page("sessions", overview.sessions(caller.organization, **get_filters(query)), query)
    rows = visibility.redact_rows(caller, response["sessions"])
    hidden = hidden_tests(row["id"] for row in rows)
    return response | {"sessions": [_with_tests(row, hidden.get(row["id"])) for row in rows]}


def _reads_large_envelopes(**path: Any) -> bool:
    try:
        is_full = request.args.get("detail") == "full"
    except UnicodeDecodeError:
        return False  # The parser rejects the query.
    return is_full and concurrency.reads_large_session(**path)


@blp.get("/sessions/<id:session_id>/timeline")
@auth.required(ApiToken)
@concurrency.limit(concurrency.LONG_READ, _reads_large_envelopes)
@blp.arguments(schemas.TimelineQuery, location="query")
@blp.response(200, schemas.Timeline)
@audit.record_read
def get_timeline(query, session_id):
    """Get a session's timeline

    A page of events in chronological order. A call that several channels recorded has several events; `counts` is true
    for only one of them.
    """
    session = find(Session, session_id)
    filters = {
        name: query.get(name) for name in ("kind", "without", "event_id", "source", "actor", "channel")
    }
    is_full, latest_first = query["detail"] == "full", query["order"] == "desc"
    result = timeline.page(session, query["limit"], query.get("after"), is_full, latest_first, **filters)
    events = [_build_event(event) for event in result.events]
    return {"task_read_at": session.task_read_at, "events": events, "next": result.next}


@blp.get("/sessions/<id:session_id>/timeline/compact")
@auth.required(ApiToken)
@with_compression
@blp.file(
    "JSON Lines: one object per event with `id`, `ts`, `kind`, `actor`, `attribution`, `late`, `channel`, "
    "`counts`, `call`, `summary` and `size`.",
    "All events, one per line.",
    example='{"id":"1","ts":"2026-04-02T09:00:00.000Z","kind":"prompt","actor":"human","attribution":null,'
    '"late":false,"channel":null,"counts":true,"call":null,"summary":"Fix","size":212}\n',
)
@audit.record_read
def get_compact_timeline(session_id):
    """Get a session's compact timeline

    All events in chronological order, one JSON object per line. Use it for a table or chart of a whole session. The
    fields are the same as in the timeline, except that `size` replaces `sizeBytes`, and that `call` is equal for the
    events of one tool call, if a channel other than the client recorded its id.
    """
    session = find(Session, session_id)
    batches = timeline.read_compact(session)
    # Join many lines into one chunk, because the server sends each chunk separately.
    chunks = (b"".join(orjson.dumps(_build_compact_event(row)) + b"\n" for row in rows) for rows in batches)
    return file_response(f"timeline-{session.id}.jsonl", chunks)


@blp.get("/sessions/<id:session_id>/timeline/<path:event_id>")
@auth.required(ApiToken)
@etags.with_etag
@concurrency.long_read
@blp.response(200, schemas.EventResponse)
@audit.record_read
def get_event(session_id, event_id):
    """Get an event

    Includes the envelope exactly as sent.
    """
    session = find(Session, session_id)
    event = None if UNSTORABLE.search(event_id) else timeline.find_event(session, event_id)
    return {"event": _build_event(or_not_found(event))}


@blp.get("/sessions/<id:session_id>/decisions")
@auth.required(ApiToken)
@concurrency.long_read
@blp.arguments(schemas.CursorQuery, location="query")
@blp.response(200, schemas.Decisions)
@audit.record_read
def get_decisions(query, session_id):
    """Get a session's decisions

    The candidate's explanations, and their replies to agents' plans.
    """
    session = find(Session, session_id)
    kinds, latest_first = sorted(DECISION_KINDS), query["order"] == "desc"
    result = timeline.page(session, query["limit"], query.get("after"), True, latest_first, kind=kinds)
    decisions = [event | read_decision(event["envelope"]) for event in result.events]
    return {"decisions": decisions, "next": result.next}


@blp.get("/sessions/<id:session_id>/moments")
@auth.required(ApiToken)
@concurrency.long_read
@blp.response(200, schemas.Moments)
@audit.record_read
def get_moments(session_id):
    """Get a session's moments

    Up to seven points worth asking about in an interview, found by fixed, published rules. None is a score.
    """
    session = find(Session, session_id)
    found = moments.find_moments(
        Event.timeline(session), is_running=session.closed_as_of(clock.now()) is None
    )
    return {"version": moments.VERSION, "moments": found}


@blp.get("/sessions/<id:session_id>/artifacts")
@auth.required(ApiToken)
@concurrency.long_read
@blp.response(200, schemas.Artifacts)
@audit.record_read
def get_artifacts(session_id):
    """Get a session's artifacts

    Changed files (latest content or diff, and authors), commands, and the latest state of the agents' plans. Long
    content is truncated; the events contain all of it.
    """
    collected = artifacts.Artifacts()
    for event in timeline.artifact_events(find(Session, session_id), sorted(artifacts.KINDS)):
        collected.add(event)
    return collected


@blp.get("/sessions/<id:session_id>/export")
@auth.required(ApiToken)
@concurrency.long_read
@blp.file(
    'JSON Lines: `{"session": ...}`, `{"testRun": ...}` for each test run, then each event as sent, in timeline order.',
    "JSON Lines file of the session.",
    example='{"session":{}}\n{"id":"1","kind":"prompt","v":1,"ts":"2026-04-02T09:00:00Z","data":{}}\n',
)
@audit.record_read
def export_session(session_id):
    """Export a session

    A JSON Lines file: the session with its metrics, its test runs with outputs, then each event as sent, including late
    ones, in timeline order.
    """
    session = find(Session, session_id)
    sessions.close_due(session)
    return file_response(f"session-{session.id}.jsonl", _export(session))


@blp.get("/sessions/<id:session_id>/recent-activity")
@auth.required(ApiToken | CandidateKey)
@blp.arguments(schemas.RecentQuery, location="query")
@blp.response(200, schemas.RecentActivity)
@audit.record_read
def get_recent_activity(query, session_id):
    """Get a session's recent activity

    Events from the last few minutes, to help a candidate explain a decision.
    """
    minutes = query["minutes"]
    activity = timeline.recent_activity(find(Session, session_id), minutes)
    return {
        "summary": describe_activity(minutes, activity),
        "recent_activity": activity,
        "period_minutes": minutes,
        "event_count": activity["event_count"],
    }


def _with_tests(row: dict[str, Any], hidden: TestRun | None) -> dict[str, Any]:
    counts = {name: row[f"tests_{name}_count"] for name in ("passed", "failed", "skipped")}
    result = counts | {"note": row["tests_note"], "source": "team"}
    return row | {"test_result": None if counts["passed"] is None else result, "hidden_tests": hidden}


def _build_compact_event(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["event_id"],
        "ts": format_timestamp(timestamp_from_ns(row["time_ns"])),
        **{name: row[name] for name in ("kind", "actor", "attribution", "late", "channel", "counts")},
        "call": duplicates.call_key(row["joins"]),
        "summary": format_summary(row["subject"], row["note"]),
        "size": row["size"],
    }


def _build_event(row: dict[str, Any]) -> dict[str, Any]:
    """Add the summary. The envelope is sent as stored, without being parsed."""
    event = row | {"summary": format_summary(row["subject"], row["note"])}
    return event | {"envelope": orjson.Fragment(row["envelope"])} if "envelope" in row else event


def _export(session: Session) -> Iterator[bytes]:
    yield orjson.dumps({"session": ReviewedSession().dump(session_state(session.id))}) + b"\n"
    runs = TestRun.of(session, with_results=True)
    for run in batches.read_all(runs, TestRun.created_at, TestRun.id, max_rows=1):
        yield orjson.dumps({"testRun": test_runs.TestRun().dump(run)}) + b"\n"
    for event in timeline.read_all(session):
        yield timeline.to_json_line(event["envelope"])
