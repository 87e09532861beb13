"""A session's timeline, decisions, artifacts, export and recent activity (client contract, 3.14)."""

import json
import tracemalloc
from datetime import timedelta

import peewee
import pytest
import statements
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_key,
    make_session,
    mark_hired,
)
from response_checks import body_of, error_of, error_paths

from models import CandidateKey, Event, Session, batches, db, sessions
from models.sessions import timeline

LIST = "/v1/sessions"
HOSTILE = r'{"command":"find -print0","stdout":"a\u0000b\ud800","exitCode":0,"n":1.50e1}'
MANY = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {more})
INSERT INTO events (session_id, event_id, kind, source, time_ns, received_at, late, subject, size, envelope)
SELECT session_id, event_id || i, CASE WHEN i / 500 * 500 = i THEN 'decision_event' ELSE kind END, source,
       time_ns + i * CAST(1000000000 AS BIGINT), received_at, late, subject, size, envelope
FROM events CROSS JOIN n WHERE seq = (SELECT MAX(seq) FROM events)
"""


def path(session, *more):
    return "/".join((f"{LIST}/{session.id}", *more))


def get(caller, path, **query):
    return body_of(caller.get(path, **query))


def read(caller, session, resource="timeline", **query):
    return get(caller, path(session, resource), **query)


def pages(reviewer, session, **query):
    """Yield each page's events."""
    after = {}
    while after is not None:
        page = read(reviewer, session, **query, **after)
        yield page["events"]
        after = page["next"] and {"after": page["next"]}


def add(session, *events):
    for event in events:
        add_event(session, event)


def add_many(session, count, text="Go on"):
    """Add prompts one second apart. Every 500th is a decision."""
    add(session, envelope("prompt", id="e", data={"text": text}))
    db.execute_sql(MANY.format(more=count - 1))


@pytest.fixture
def send(candidate, session):
    def send_text(text):
        options = {"data": text.encode(), "content_type": "application/json"}
        body_of(candidate.request("POST", "/v1/hooks/ingest", **options), 201)

    return send_text


def test_sessions_of_deleted_assessments_are_not_found_but_stay_stored(reviewer, assessment, session):
    add(session, envelope(id="one"))
    assert reviewer.delete(f"/v1/assessments/{assessment.id}").status_code == 200
    assert get(reviewer, LIST)["total"] == 0
    resources = "timeline timeline/one decisions artifacts export recent-activity analytics cohort-stats"
    for deleted in (path(session), *(path(session, resource) for resource in resources.split())):
        assert error_of(reviewer.get(deleted)) == (404, "not_found")
    assert Session.select().count() == Event.select().count() == CandidateKey.select().count() == 1


def ids(reviewer, **query):
    return [session["id"] for session in get(reviewer, LIST, **query)["sessions"]]


def test_session_list_includes_a_subset_of_the_fields(clock, reviewer, session):
    sessions.submit_test_result(session, 3, 0, None, "Clean clone")
    sessions.complete(session)
    (entry,) = get(reviewer, LIST)["sessions"]
    session_fields = get(reviewer, path(session))
    assert entry.items() <= session_fields.items()
    assert session_fields.keys() - entry.keys() >= {"eventCount", "lateEventCount", "metrics"}


def test_organizations_sessions_are_listed_oldest_first(reviewer, neighbour, organization):
    assessments = [make_assessment(organization) for _ in range(2)]
    session_ids = [str(make_session(make_key(assessments[number % 2])).id) for number in range(5)]
    assert ids(reviewer, limit=3) + ids(reviewer, limit=3, offset=3) == session_ids
    page = get(reviewer, LIST, limit=3, offset=3)
    assert (page["total"], page["limit"], page["offset"]) == (5, 3, 3)
    assert get(neighbour, LIST) == {"sessions": [], "next": None, "total": 0, "limit": 50, "offset": 0}


def test_sessions_are_filtered_by_assessment_and_status(clock, reviewer, organization, assessment):
    limited = make_assessment(organization, time_limit_minutes=1)
    expired = make_session(make_key(limited))
    clock.fixed += timedelta(minutes=6)
    active = make_session(make_key(assessment))
    completed, hired = make_closed_session(assessment), make_closed_session(assessment)
    mark_hired(hired, True)
    by_status = {"expired": expired, "active": active, "completed": completed, "hired": hired}
    for status, session in by_status.items():
        (row,) = get(reviewer, LIST, status=status)["sessions"]
        assert (row["id"], row["status"]) == (str(session.id), status)
    assert ids(reviewer, assessmentId=limited.id) == [str(expired.id)]
    assert error_paths(reviewer.get(LIST, status="pending")) == [["status"]]


def test_sessions_are_filtered_by_start(clock, reviewer, assessment):
    session_ids = []
    for _ in range(3):
        session_ids.append(str(make_session(make_key(assessment)).id))
        clock.fixed += timedelta(hours=1)
    ten, eleven = "2026-04-01T10:00:00Z", "2026-04-01T13:00:00.000+02:00"
    assert ids(reviewer, **{"from": ten}) == session_ids[1:]
    assert ids(reviewer, to=ten) == session_ids[:1]
    assert ids(reviewer, **{"from": ten, "to": eleven}) == session_ids[1:2]
    nanosecond_later = "2026-04-01T10:00:00.000000001Z"
    assert ids(reviewer, **{"from": nanosecond_later}) == session_ids[2:]
    assert ids(reviewer, to=nanosecond_later) == session_ids[:2]
    assert error_paths(reviewer.get(LIST, **{"from": "yesterday"})) == [["from"]]


def test_timeline_summarizes_events_without_their_content(clock, reviewer, session):
    clock.fixed += timedelta(seconds=10)
    data = {"command": "go test ./...", "exitCode": 1, "stdout": "secret"}
    author = {"actor": {"type": "human"}, "provenance": {"attribution": "likely_human"}}
    event = envelope("command", at=5, id="one", data=data, **author)
    add(session, event)
    expected = {
        "id": "one",
        "ts": "2026-04-01T09:00:05.000Z",
        "receivedAt": "2026-04-01T09:00:10.000Z",
        "kind": "command",
        "source": "terminal",
        "actor": "human",
        "attribution": "likely_human",
        "late": False,
        "channel": None,
        "counts": True,
        "summary": "go test ./... · exit 1",
        "sizeBytes": len(json.dumps(event)),
    }
    assert read(reviewer, session) == {"taskReadAt": None, "events": [expected], "next": None}


def test_events_are_sorted_by_nanosecond_and_arrival(reviewer, session):
    add(session, *(envelope(id=name, at=at) for name, at in (("c", 2), ("z", 1), ("a", 1), ("b", -1))))
    for fraction in ("123456789", "123456788"):
        add(session, envelope(id=fraction, ts=f"2026-04-01T09:00:00.{fraction}Z"))
    events = read(reviewer, session)["events"]
    assert [event["id"] for event in events] == ["b", "123456788", "123456789", "z", "a", "c"]
    assert {event["ts"] for event in events[1:3]} == {"2026-04-01T09:00:00.123Z"}


@pytest.mark.parametrize("detail", ["summary", "full"])
def test_pages_do_not_skip_or_repeat_events(reviewer, session, detail):
    add(session, *(envelope(id=str(number), at=number // 4) for number in range(12)))
    read_pages = list(pages(reviewer, session, limit=3, detail=detail))
    assert [event["id"] for page in read_pages for event in page] == [str(number) for number in range(12)]
    assert [len(page) for page in read_pages] == [3, 3, 3, 3]


def test_timeline_can_be_read_in_descending_order(reviewer, session):
    add(session, *(envelope("plan_decision", id=str(number), at=number // 2) for number in range(5)))
    read_pages = list(pages(reviewer, session, limit=2, order="desc"))
    assert [event["id"] for page in read_pages for event in page] == ["4", "3", "2", "1", "0"]
    decisions = read(reviewer, session, "decisions", order="desc", limit=2)
    assert [decision["eventId"] for decision in decisions["decisions"]] == ["4", "3"]


def test_compact_timeline_contains_one_event_per_line(reviewer, session, monkeypatch):
    monkeypatch.setattr("models.sessions.timeline.COMPACT_ROWS", 3)
    command = envelope("command", data={"command": "go test ./...", "exitCode": 1}, actor={"type": "human"})
    add(session, command, *(envelope(id=str(number), at=number // 4) for number in range(7)))
    with statements.capture_queries() as queries:
        response = reviewer.get(path(session, "timeline", "compact"))
        events = read(reviewer, session, limit=200)["events"]
    assert response.headers["Content-Type"] == "application/x-ndjson"
    names = ("id", "ts", "kind", "actor", "attribution", "late", "channel", "counts", "summary")
    expected = [
        {name: event[name] for name in names} | {"call": None, "size": event["sizeBytes"]} for event in events
    ]
    assert [json.loads(line) for line in response.text.splitlines()] == expected
    assert not [statement for statement in queries if "envelope" in statement]


@pytest.mark.parametrize(
    "cursor", ["", "1", "1.", ".1", "a.b", "1.2.3", "1.-2", f"{2**63}.1", f"1.{2**63}", "1.1\n"]
)
def test_invalid_cursor_is_rejected(reviewer, session, cursor):
    assert error_paths(reviewer.get(path(session, "timeline"), after=cursor)) == [["after"]]


def test_events_are_filtered_by_kind_source_and_actor(reviewer, session):
    human, ai = {"type": "human"}, {"type": "ai"}
    add(
        session,
        envelope("prompt", at=0, id="a", actor=human, source="claude-code"),
        envelope("command", at=1, id="b", actor=ai, source="claude-code"),
        envelope("command", at=2, id="c", actor=human),
        envelope("tool_intent", at=3, id="d"),
    )
    expected = {
        "kind=command": "bc",
        "kind=prompt,%20command,": "abc",
        "kind=nothing": "",
        "without=tool_intent,command": "a",
        "source=claude-code": "ab",
        "actor=human": "ac",
        "kind=command&actor=human&source=terminal": "c",
        "kind=command&limit=1": "b",
        "channel=client&actor=human": "ac",
        "eventId=c": "c",
        "eventId=c&kind=prompt": "",
    }
    for query, ids in expected.items():
        events = reviewer.request("GET", f"{path(session, 'timeline')}?{query}").json["events"]
        assert "".join(event["id"] for event in events) == ids, query


def test_late_events_are_marked_and_excluded_from_artifacts(clock, reviewer, session):
    add(session, envelope(at=0))
    sessions.complete(session)
    clock.fixed += timedelta(hours=1)
    add(session, envelope("file_diff", at=1, data={"path": "a.go"}))
    assert [event["late"] for event in read(reviewer, session)["events"]] == [False, True]
    assert read(reviewer, session, "artifacts") == {"files": [], "commands": [], "plans": []}


def test_full_event_is_returned_as_sent(reviewer, session, send):
    text = '{"v":1 , "id":"one","ts":"2026-04-01T09:00:00.5Z","kind":"command",\n "data":' + HOSTILE + "}"
    send(text)
    for resource, query in (("timeline", {"detail": "full"}), ("timeline/one", {})):
        assert text in reviewer.get(path(session, resource), **query).text
    (event,) = read(reviewer, session, detail="full")["events"]
    assert event["envelope"] == json.loads(text)
    assert read(reviewer, session, "timeline/one") == {"event": event}


def test_unstorable_characters_are_replaced_in_summaries(reviewer, session, send):
    send(r'{"v":1,"id":"x","ts":"2026-04-01T09:00:00Z","kind":"prompt","data":{"text":"a\u0000\ud800b"}}')
    (event,) = read(reviewer, session)["events"]
    assert event["summary"] == "a \ufffdb"


@pytest.mark.parametrize("event_id", ["a/b", "a//b", "ä ö", "..", "?", "%", "\x00"])
def test_event_can_be_read_by_any_id(reviewer, assessment, session, event_id):
    add(make_session(make_key(assessment)), envelope(id="a/b"))

    def find():
        in_wsgi = path(session, "timeline", event_id).encode().decode("latin-1")
        return reviewer.request("GET", "/", environ_overrides={"PATH_INFO": in_wsgi})

    assert error_of(find()) == (404, "not_found")
    if event_id != "\x00":
        add(session, envelope(id=event_id))
        assert find().json["event"]["id"] == event_id
        assert read(reviewer, session, eventId=event_id, detail="full")["events"] == [find().json["event"]]


def test_page_of_full_events_is_limited_in_bytes(reviewer, session, monkeypatch):
    monkeypatch.setattr(batches, "MAX_BYTES", 10_000)
    sizes = [4000, 4000, 4000, 20_000, 10]
    add(session, *(envelope(at=number, data={"text": "x" * size}) for number, size in enumerate(sizes)))
    full_pages = pages(reviewer, session, detail="full")
    sizes = [[len(event["envelope"]["data"]["text"]) for event in page] for page in full_pages]
    assert sizes == [[4000, 4000], [4000], [20_000], [10]]


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "event_session_id_time_ns_seq"),
        ({"source": "terminal"}, "event_session_id_time_ns_seq"),
        ({"kind": ["decision_event"]}, "event_session_id_kind_time_ns_seq"),
    ],
)
def test_pages_are_read_from_an_index_without_sorting(assessment, session, filters, index):
    add_many(session, 5000)
    add_many(make_session(make_key(assessment)), 1000)
    db.execute_sql("ANALYZE events")
    start = Event.select(peewee.fn.MIN(Event.time_ns)).where(Event.session == session).scalar()
    for after in (None, *(timeline.EventCursor(start + seconds * 10**9, 0) for seconds in (100, 2500, 4900))):
        (plan,) = statements.plans(lambda after=after: timeline.page(session, 50, after, **filters))
        assert index in plan.lower(), plan
        assert "sort" not in plan.lower(), plan
        assert "temp b-tree" not in plan.lower(), plan


def test_decisions_include_replies_to_plans(reviewer, session):
    decision = {
        "title": "Keep the queue in the database",
        "chosenOption": "A table",
        "rationale": "One less moving part",
        "tradeoffs": None,
        "impactScore": 5,
        "context": "2 files changed",
        "triggerEventId": "abc",
    }
    reply = {"planPreview": "1. Read", "responsePreview": "Go"}
    add(
        session,
        envelope("plan_decision", at=2, id="second", data=reply),
        envelope("prompt", at=1, data={"text": "no decision"}),
        envelope("decision_event", at=0, id="first", data=decision | {"tradeoffs": ""}),
    )
    page = read(reviewer, session, "decisions", limit=1)
    rest = read(reviewer, session, "decisions", limit=1, after=page["next"])
    (first,), (second,) = page["decisions"], rest["decisions"]
    assert rest["next"] is None
    event = {"eventId": "first", "ts": "2026-04-01T09:00:00.000Z", "kind": "decision_event"}
    event |= {"late": False, "channel": None, "counts": True}
    assert first == decision | event | {"plan": None, "response": None}
    reply = {"eventId": "second", "plan": "1. Read", "response": "Go", "title": None}
    assert reply.items() <= second.items()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"title": 5, "impactScore": "high"},
        {"title": "\ud800"},
        *({"impactScore": n} for n in (0, 6, 2**70)),
    ],
)
def test_malformed_decision_can_be_read(reviewer, session, data):
    add(session, envelope("decision_event", data=data))
    (decision,) = read(reviewer, session, "decisions")["decisions"]
    assert decision["impactScore"] is None


def test_artifacts_are_files_commands_and_plans(reviewer, session):
    change = {"path": "a.go", "diff": "+b", "linesAdded": 1, "linesRemoved": 0}
    add(
        session,
        envelope("file_diff", at=0, id="f", data=change),
        envelope("command", at=1, id="c", data={"command": "go test", "exitCode": 0}),
        envelope("planning", at=2, id="p", data={"todos": [{"content": "Fix it", "status": "pending"}]}),
    )
    artifacts = read(reviewer, session, "artifacts")
    (file,), (command,), (plan,) = artifacts["files"], artifacts["commands"], artifacts["plans"]
    assert [file["path"], file["diff"], file["content"]] == ["a.go", "+b", None]
    assert file["changes"][0]["eventId"] == "f"
    assert (command["command"], command["exitCode"], command["verifies"]) == ("go test", 0, "test")
    assert plan["eventId"] == "p"
    assert plan["steps"] == [{"step": "Fix it", "status": "pending", "taskId": None}]


def export_lines(reviewer, session):
    response = reviewer.get(path(session, "export"))
    assert (response.status_code, response.mimetype) == (200, "application/x-ndjson")
    assert f'filename="session-{session.id}.jsonl"' in response.headers["Content-Disposition"]
    return response.text.split("\n")


def test_export_contains_the_session_and_each_event_as_sent(reviewer, session, send):
    text = '{"v":1, "id":"one","ts":"2026-04-01T09:00:00Z","kind":"command", "data":' + HOSTILE + "}"
    send(text)
    send('{"v":1,\r\n"id":"later","ts":"2026-04-01T09:00:01Z",\n"kind":"x","data":{"a":"b\\nc"}}')
    add(session, envelope(id="earlier", at=-1))
    assert json.loads(export_lines(reviewer, session)[0])["session"]["status"] == "active"
    sessions.complete(session)
    head, *events, end = export_lines(reviewer, session)
    assert json.loads(head) == {"session": get(reviewer, path(session))}
    assert [json.loads(event)["id"] for event in events] == ["earlier", "one", "later"]
    assert (events[1], json.loads(events[2])["data"], end) == (text, {"a": "b\nc"}, "")


def test_export_reads_in_batches(reviewer, session, monkeypatch):
    monkeypatch.setattr(batches, "MAX_ROWS", 7)
    add_many(session, 50)
    assert len(export_lines(reviewer, session)[1:-1]) == 50


@pytest.mark.slow
def test_export_of_20000_events_uses_little_memory(reviewer, session):
    add_many(session, 20_000, text="x" * 5_000)
    response = reviewer.request("GET", path(session, "export"), buffered=False)
    tracemalloc.start()
    try:
        size = sum(len(part) for part in response.response)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 100_000_000
    assert peak < 40 * 1024 * 1024


def test_recent_activity_excludes_late_events(clock, candidate, session):
    data = [
        ("prompt", {"text": "Fix it"}),
        ("file_diff", {"path": "a.go"}),
        ("file_create", {"path": "b.go"}),
        ("file_diff", {"path": "a.go"}),
        ("command", {"command": "go test ./..."}),
        ("ai_response", {}),
    ]
    add(session, *(envelope(kind, data=fields) for kind, fields in data))
    expected = {
        "summary": "In the last 20 minutes: 1 prompt; 2 changed files (a.go, b.go); 1 command (go test ./...).",
        "recentActivity": {"filesChanged": ["b.go", "a.go"], "commands": ["go test ./..."], "promptCount": 1},
        "periodMinutes": 20,
        "eventCount": 6,
    }
    assert read(candidate, session, "recent-activity") == expected
    sessions.complete(session)
    clock.fixed += timedelta(minutes=11)
    add(session, envelope("prompt"))  # late
    assert read(candidate, session, "recent-activity") == expected


def test_activity_summary_names_the_latest_five_commands(candidate, session):
    add(session, *(envelope("command", data={"command": f"run {number}"}) for number in range(7)))
    summary = "In the last 20 minutes: 7 commands (run 6, run 5, run 4, run 3, run 2, …)."
    assert read(candidate, session, "recent-activity")["summary"] == summary


def test_recent_activity_depends_on_arrival_time(clock, candidate, session):
    empty = read(candidate, session, "recent-activity", minutes=1)
    assert empty["summary"] == "In the last minute: nothing recorded."
    assert empty["recentActivity"] == {"filesChanged": [], "commands": [], "promptCount": 0}
    add(session, envelope("prompt", at=90_000))
    clock.fixed += timedelta(minutes=30)
    add(session, envelope("prompt", at=-90_000))
    for query, count in (({}, 1), ({"minutes": 29}, 1), ({"minutes": 60}, 2)):
        assert read(candidate, session, "recent-activity", **query)["eventCount"] == count


@pytest.mark.parametrize("minutes", ["0", "61", "ten"])
def test_minutes_must_be_between_1_and_60(candidate, session, minutes):
    assert error_paths(candidate.get(path(session, "recent-activity"), minutes=minutes)) == [["minutes"]]
