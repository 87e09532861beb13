"""A session's record as a reviewer reads it: issue 3, section 6, and the client contract, section 3.14."""

import json
import tracemalloc
from datetime import timedelta

import peewee
import pytest
import statements
from answers import places, refusal
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_key,
    make_session,
)

from models import Event, batches, db, sessions, timeline

LIST = "/v1/sessions"
NOWHERE = "00000000-0000-7000-8000-000000000000"
READ = ("timeline", "decisions", "artifacts", "export", "recent-activity", "analytics", "cohort-stats")
HOSTILE = r'{"command":"find -print0","stdout":"a\u0000b\ud800","exitCode":0,"n":1.50e1}'


def path(session, *more):
    return "/".join((f"{LIST}/{session.id}", *more))


def read(reviewer, session, what="timeline", **query):
    answer = reviewer.get(path(session, what), **query)
    assert answer.status_code == 200, answer.json
    return answer.json


def add(session, *events):
    for event in events:
        add_event(session, event)


@pytest.fixture
def send(candidate):
    """Send an event of `session` over HTTP, character by character."""

    def send_text(text):
        options = {"data": text.encode(), "content_type": "application/json"}
        answer = candidate.request("POST", "/v1/hooks/ingest", **options)
        assert answer.status_code == 201, answer.json

    return send_text


MANY = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {more})
INSERT INTO events (session_id, event_id, kind, source, time_ns, received_at, late, subject, size, envelope)
SELECT session_id, event_id || i, CASE WHEN i / 500 * 500 = i THEN 'decision_event' ELSE kind END, source,
       time_ns + i * CAST(1000000000 AS BIGINT), received_at, late, subject, size, envelope
FROM events CROSS JOIN n WHERE seq = (SELECT MAX(seq) FROM events)
"""


def add_many(session, count, text="Go on"):
    """Prompts a second apart, and among 500 one decision; made in one statement, since adding takes its time."""
    add(session, envelope("prompt", id="e", data={"text": text}))
    db.execute_sql(MANY.format(more=count - 1))


# Who may read


@pytest.mark.parametrize("what", READ)
def test_only_reviewers_of_the_organization_read_a_session(
    reviewer, reader, neighbour, anonymous, session, what
):
    assert reviewer.get(path(session, what)).status_code == 200
    assert reader.get(path(session, what)).status_code == 200
    assert refusal(neighbour.get(path(session, what))) == (404, "not_found")
    assert refusal(anonymous.get(path(session, what))) == (401, "unauthorized")
    for wrong in (NOWHERE, "nonsense"):
        assert refusal(reviewer.get(f"{LIST}/{wrong}/{what}")) == (404, "not_found")


@pytest.mark.parametrize("what", [what for what in READ if what != "recent-activity"])
def test_a_candidate_does_not_read_the_record(candidate, session, what):
    assert refusal(candidate.get(path(session, what))) == (401, "unauthorized")


def test_a_candidate_reads_only_the_own_recent_activity(candidate, assessment, session):
    other = make_session(make_key(assessment))
    assert candidate.get(path(session, "recent-activity")).status_code == 200
    assert refusal(candidate.get(path(other, "recent-activity"))) == (404, "not_found")


def test_sessions_of_deleted_assessments_are_out_of_sight(reviewer, assessment, session):
    add(session, envelope(id="one"))
    assessment.delete_softly()
    assert reviewer.get(LIST).json["total"] == 0
    for what in (*READ, "timeline/one"):
        assert refusal(reviewer.get(path(session, what))) == (404, "not_found")


# The list of sessions


def listed(reviewer, **query):
    answer = reviewer.get(LIST, **query)
    assert answer.status_code == 200, answer.json
    return answer.json


def ids(page):
    return [found["id"] for found in page["sessions"]]


def test_a_listed_session_reads_like_the_session_itself(clock, reviewer, session):
    sessions.submit_test_result(session, 3, 0, None, "Clean clone")
    sessions.complete(session)
    (entry,) = listed(reviewer)["sessions"]
    whole = reviewer.get(path(session)).json
    assert {name: whole[name] for name in entry} == entry
    assert set(whole) - set(entry) >= {"eventCount", "lateEventCount", "metrics"}


def test_sessions_are_listed_in_pages_in_the_order_in_which_they_began(clock, reviewer, organization):
    assessments = [make_assessment(organization) for _ in range(2)]
    sessions = [make_session(make_key(assessments[number % 2])) for number in range(5)]
    first, second = listed(reviewer, limit=3), listed(reviewer, limit=3, offset=3)
    assert ids(first) + ids(second) == [str(session.id) for session in sessions]
    assert (first["total"], first["limit"], second["offset"]) == (5, 3, 3)


def test_neighbours_have_sessions_of_their_own(neighbour, session):
    assert listed(neighbour) == {"sessions": [], "total": 0, "limit": 50, "offset": 0}


def test_sessions_are_found_by_assessment_and_status(clock, reviewer, organization, assessment):
    limited = make_assessment(organization, time_limit_minutes=1)
    over = make_session(make_key(limited))
    clock.fixed += timedelta(minutes=6)
    active = make_session(make_key(assessment))
    done, hired = make_closed_session(assessment), make_closed_session(assessment)
    sessions.mark_hired(hired, True)
    by_status = {"expired": over, "active": active, "completed": done, "hired": hired}
    for status, session in by_status.items():
        assert ids(listed(reviewer, status=status)) == [str(session.id)]
        assert listed(reviewer, status=status)["sessions"][0]["status"] == status
    assert ids(listed(reviewer, assessmentId=limited.id)) == [str(over.id)]
    assert places(reviewer.get(LIST, status="pending")) == [["status"]]


def test_sessions_are_found_by_the_time_at_which_they_began(clock, reviewer, assessment):
    sessions = []
    for _ in range(3):
        sessions.append(str(make_session(make_key(assessment)).id))
        clock.fixed += timedelta(hours=1)
    ten, eleven = "2026-04-01T10:00:00Z", "2026-04-01T13:00:00.000+02:00"
    assert ids(listed(reviewer, **{"from": ten})) == sessions[1:]
    assert ids(listed(reviewer, to=ten)) == sessions[:1]
    assert ids(listed(reviewer, **{"from": ten, "to": eleven})) == sessions[1:2]
    assert ids(listed(reviewer, **{"from": "2026-04-01T10:00:00.000000001Z"})) == sessions[2:]
    assert places(reviewer.get(LIST, **{"from": "yesterday"})) == [["from"]]


def test_a_list_of_sessions_costs_the_same_number_of_statements_whatever_its_length(reviewer, assessment):
    listed(reviewer)  # notes the token's use
    make_closed_session(assessment, envelope())
    with statements.counted() as with_one:
        listed(reviewer)
    for _ in range(20):
        make_closed_session(assessment, envelope())
    with statements.counted() as with_many:
        assert len(listed(reviewer)["sessions"]) == 21
    assert len(with_many) == len(with_one)


# The timeline


def test_an_event_in_the_timeline_says_what_it_is_about_without_its_content(clock, reviewer, session):
    clock.fixed += timedelta(seconds=10)
    event = envelope(
        "command",
        at=5,
        id="one",
        data={"command": "go test ./...", "exitCode": 1, "stdout": "secret"},
        actor={"type": "human"},
        provenance={"attribution": "likely_human"},
    )
    add(session, event)
    assert read(reviewer, session) == {
        "events": [
            {
                "id": "one",
                "ts": "2026-04-01T09:00:05.000Z",
                "receivedAt": "2026-04-01T09:00:10.000Z",
                "kind": "command",
                "source": "terminal",
                "actor": "human",
                "attribution": "likely_human",
                "late": False,
                "summary": "go test ./... · exit 1",
                "sizeBytes": len(json.dumps(event)),
            }
        ],
        "next": None,
    }


def test_events_stand_in_the_order_of_their_times_and_ties_in_the_order_of_arrival(reviewer, session):
    add(
        session,
        envelope(id="c", at=2),
        envelope(id="z", at=1),
        envelope(id="a", at=1),
        envelope(id="b", at=0),
    )
    assert [event["id"] for event in read(reviewer, session)["events"]] == ["b", "z", "a", "c"]


def test_nanoseconds_count_for_the_order_although_only_milliseconds_are_shown(reviewer, session):
    for fraction in ("123456789", "123456788"):
        add(session, envelope(id=fraction, ts=f"2026-04-01T09:00:00.{fraction}Z"))
    events = read(reviewer, session)["events"]
    assert [event["id"] for event in events] == ["123456788", "123456789"]
    assert {event["ts"] for event in events} == {"2026-04-01T09:00:00.123Z"}


@pytest.mark.parametrize("detail", ["summary", "full"])
def test_pages_lead_from_one_to_the_next_and_neither_skip_nor_repeat(reviewer, session, detail):
    add(session, *(envelope(id=str(number), at=number // 4) for number in range(11)))
    found, after, sizes = [], {}, []
    while after is not None:
        page = read(reviewer, session, limit=3, detail=detail, **after)
        found += [event["id"] for event in page["events"]]
        sizes.append(len(page["events"]))
        after = page["next"] and {"after": page["next"]}
    assert found == [str(number) for number in range(11)]
    assert sizes == [3, 3, 3, 2]


def test_a_last_page_that_is_full_has_no_next(reviewer, session):
    add(session, envelope(), envelope())
    assert read(reviewer, session, limit=2)["next"] is None


def test_limit_is_clamped_and_fifty_by_default(reviewer, session):
    add_many(session, 210)
    assert [
        len(read(reviewer, session, **query)["events"]) for query in ({}, {"limit": 0}, {"limit": 9999})
    ] == [50, 1, 200]


@pytest.mark.parametrize(
    "wrong", ["", "1", "1.", ".1", "a.b", "1.2.3", "1.-2", f"{2**63}.1", f"1.{2**63}", "1.1\n"]
)
def test_a_cursor_that_no_page_gave_is_refused(reviewer, session, wrong):
    assert places(reviewer.get(path(session, "timeline"), after=wrong)) == [["after"]]


def test_kind_source_and_actor_filter(reviewer, session):
    human, ai = {"type": "human"}, {"type": "ai"}
    add(
        session,
        envelope("prompt", at=0, id="a", actor=human, source="claude-code"),
        envelope("command", at=1, id="b", actor=ai, source="claude-code"),
        envelope("command", at=2, id="c", actor=human),
        envelope("tool_intent", at=3, id="d"),
    )
    wanted = {
        "kind=command": "bc",
        "kind=prompt,command": "abc",
        "kind=prompt,%20command,": "abc",
        "kind=nothing": "",
        "without=tool_intent,command": "a",
        "source=claude-code": "ab",
        "actor=human": "ac",
        "kind=command&actor=human&source=terminal": "c",
        "kind=command&limit=1": "b",
    }
    for query, expected in wanted.items():
        events = reviewer.request("GET", f"{path(session, 'timeline')}?{query}").json["events"]
        assert "".join(event["id"] for event in events) == expected, query


def test_late_events_are_in_the_timeline_and_say_so(clock, reviewer, session):
    add(session, envelope(at=0))
    sessions.complete(session)
    clock.fixed += timedelta(hours=1)
    add(session, envelope(at=1))
    assert [event["late"] for event in read(reviewer, session)["events"]] == [False, True]


def test_a_full_event_is_there_character_by_character(reviewer, session, send):
    text = (
        '{"v":1 , "id":"one","ts":"2026-04-01T09:00:00.5Z","kind":"command",\n "source":"terminal","data":'
        + HOSTILE
        + "}"
    )
    send(text)
    for answer in (
        reviewer.get(path(session, "timeline"), detail="full"),
        reviewer.get(path(session, "timeline", "one")),
    ):
        assert answer.status_code == 200
        assert text in answer.text
    (event,) = read(reviewer, session, detail="full")["events"]
    assert event["envelope"] == json.loads(text)
    assert read(reviewer, session, "timeline/one") == {"event": event}


def test_texts_that_no_column_can_hold_do_not_stop_a_summary(reviewer, session, send):
    send(
        r'{"v":1,"id":"x","ts":"2026-04-01T09:00:00Z","kind":"prompt","data":{"text":"a\u0000\ud800b"}}',
    )
    (event,) = read(reviewer, session)["events"]
    assert event["summary"] == "a \ufffdb"


def test_an_event_of_another_session_is_not_found(reviewer, assessment, session):
    other = make_session(make_key(assessment))
    add(other, envelope(id="theirs"))
    assert refusal(reviewer.get(path(session, "timeline", "theirs"))) == (404, "not_found")
    assert refusal(reviewer.get(path(session, "timeline", "%00"))) == (404, "not_found")


@pytest.mark.parametrize("event_id", ["a/b", "a//b", "ä ö", "..", "?", "%"])
def test_events_are_found_by_whatever_id_their_client_made(reviewer, session, event_id):
    add(session, envelope(id=event_id))
    answer = reviewer.request(
        "GET", "/", environ_overrides={"PATH_INFO": _wsgi(path(session, "timeline", event_id))}
    )
    assert answer.json["event"]["id"] == event_id


def _wsgi(text):
    return text.encode().decode("latin-1")


def test_a_full_page_ends_where_its_events_grow_too_large(reviewer, session, monkeypatch):
    monkeypatch.setattr(batches, "MAX_BYTES", 10_000)
    add(
        session,
        *(
            envelope(at=number, data={"text": "x" * size})
            for number, size in enumerate([4000, 4000, 4000, 20_000, 10])
        ),
    )
    sizes, after = [], {}
    while after is not None:
        page = read(reviewer, session, detail="full", **after)
        sizes.append([len(event["envelope"]["data"]["text"]) for event in page["events"]])
        after = page["next"] and {"after": page["next"]}
    assert sizes == [[4000, 4000], [4000], [20_000], [10]]


def test_a_page_of_summaries_asks_for_no_envelope(reviewer, session):
    add_many(session, 10)
    with statements.counted() as sent:
        read(reviewer, session)
    assert not [statement for statement in sent if "envelope" in statement]


INDEXES = [
    ({}, "event_session_id_time_ns_seq"),
    ({"source": "terminal"}, "event_session_id_time_ns_seq"),
    ({"kind": ["decision_event"]}, "event_session_id_kind_time_ns_seq"),
]


def test_any_page_of_20000_events_is_read_from_an_index_without_sorting(assessment, session):
    add_many(session, 20_000)
    add_many(make_session(make_key(assessment)), 1000)
    db.execute_sql("ANALYZE events")
    began = Event.select(peewee.fn.MIN(Event.time_ns)).where(Event.session == session).scalar()
    for filters, index in INDEXES:
        for seconds in (None, 100, 10_000, 19_900):
            after = None if seconds is None else timeline.Cursor(began + seconds * 10**9, 0)
            (found,) = statements.plans(
                lambda after=after, filters=filters: timeline.page(session, 50, after, **filters)
            )
            found = found.lower()
            assert index in found, found
            assert "sort" not in found, found
            assert "temp b-tree" not in found, found


# Decisions


def test_decisions_and_answers_to_plans_are_read_in_order(reviewer, session):
    explained = {
        "title": "Keep the queue in the database",
        "chosenOption": "A table",
        "rationale": "One moving part fewer",
        "tradeoffs": "",
        "impactScore": 4,
        "context": "2 files changed",
        "triggerEventId": "abc",
    }
    add(
        session,
        envelope(
            "plan_decision", at=2, id="second", data={"planPreview": "1. Read", "responsePreview": "Go"}
        ),
        envelope("prompt", at=1, data={"text": "no decision"}),
        envelope("decision_event", at=0, id="first", data=explained),
    )
    first, second = read(reviewer, session, "decisions")["decisions"]
    assert first == {
        "eventId": "first",
        "ts": "2026-04-01T09:00:00.000Z",
        "kind": "decision_event",
        "late": False,
        "title": "Keep the queue in the database",
        "chosenOption": "A table",
        "rationale": "One moving part fewer",
        "tradeoffs": None,
        "context": "2 files changed",
        "impactScore": 4,
        "triggerEventId": "abc",
        "plan": None,
        "response": None,
    }
    assert (second["eventId"], second["plan"], second["response"], second["title"]) == (
        "second",
        "1. Read",
        "Go",
        None,
    )


def test_decisions_have_pages(reviewer, session):
    add(session, *(envelope("decision_event", at=number, id=str(number)) for number in range(3)))
    page = read(reviewer, session, "decisions", limit=2)
    rest = read(reviewer, session, "decisions", limit=2, after=page["next"])
    assert [found["eventId"] for found in page["decisions"] + rest["decisions"]] == ["0", "1", "2"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    "data", [{}, {"title": 5, "impactScore": "high"}, {"impactScore": 2**70}, {"title": "\ud800"}]
)
def test_a_decision_may_lack_anything(reviewer, session, data):
    add(session, envelope("decision_event", data=data))
    assert len(read(reviewer, session, "decisions")["decisions"]) == 1


# Artifacts


def test_artifacts_are_files_commands_and_plans(reviewer, session):
    add(
        session,
        envelope(
            "file_diff", at=0, id="f", data={"path": "a.go", "diff": "+b", "linesAdded": 1, "linesRemoved": 0}
        ),
        envelope("command", at=1, id="c", data={"command": "go test", "exitCode": 0}),
        envelope("planning", at=2, id="p", data={"todos": [{"content": "Fix it", "status": "pending"}]}),
    )
    found = read(reviewer, session, "artifacts")
    (file,), (command,), (plan,) = found["files"], found["commands"], found["plans"]
    assert (file["path"], file["diff"], file["content"], file["changes"][0]["eventId"]) == (
        "a.go",
        "+b",
        None,
        "f",
    )
    assert (command["command"], command["exitCode"], command["verifies"]) == ("go test", 0, "test")
    assert (plan["eventId"], plan["steps"]) == (
        "p",
        [{"step": "Fix it", "status": "pending", "taskId": None}],
    )


def test_late_events_have_no_part_in_the_artifacts(clock, reviewer, session):
    sessions.complete(session)
    clock.fixed += timedelta(hours=1)
    add(session, envelope("file_diff", data={"path": "a.go"}))
    assert read(reviewer, session, "artifacts") == {"files": [], "commands": [], "plans": []}


# Export


def exported(reviewer, session):
    answer = reviewer.get(path(session, "export"))
    assert (answer.status_code, answer.mimetype) == (200, "application/x-ndjson")
    assert f'filename="session-{session.id}.jsonl"' in answer.headers["Content-Disposition"]
    return answer.data.decode().split("\n")


def test_an_export_is_the_session_and_then_each_event_as_it_came(reviewer, session, send):
    text = '{"v":1, "id":"one","ts":"2026-04-01T09:00:00Z","kind":"command", "data":' + HOSTILE + "}"
    send(text)
    add(session, envelope(id="earlier", at=-1))
    sessions.complete(session)
    head, *events, end = exported(reviewer, session)
    assert json.loads(head) == {"session": reviewer.get(path(session)).json}
    assert [json.loads(event)["id"] for event in events] == ["earlier", "one"]
    assert (events[1], end) == (text, "")


def test_each_event_of_an_export_is_one_line(reviewer, session, send):
    send('{"v":1,\r\n"id":"one","ts":"2026-04-01T09:00:00Z",\n"kind":"x","data":{"a":"b\\nc"}}')
    _, event, _ = exported(reviewer, session)
    assert json.loads(event)["data"] == {"a": "b\nc"}


def test_an_export_goes_over_many_pages(reviewer, session, monkeypatch):
    monkeypatch.setattr(batches, "MAX_ROWS", 7)
    add_many(session, 50)
    assert len(exported(reviewer, session)[1:-1]) == 50


def test_an_export_that_only_reads_does_not_close_an_open_session(reviewer, session):
    assert json.loads(exported(reviewer, session)[0])["session"]["status"] == "active"


@pytest.mark.slow
def test_an_export_of_20000_events_never_holds_more_than_a_part_of_them(reviewer, session):
    add_many(session, 20_000, text="x" * 5_000)
    answer = reviewer.request("GET", path(session, "export"), buffered=False)
    tracemalloc.start()
    try:
        size = sum(len(part) for part in answer.response)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 100_000_000
    assert peak < 40 * 1024 * 1024


# Recent activity


def test_recent_activity_has_exactly_the_members_and_types_of_the_contract(clock, candidate, session):
    add(
        session,
        envelope("prompt", data={"text": "Fix it"}),
        envelope("file_diff", data={"path": "a.go"}),
        envelope("file_create", data={"path": "b.go"}),
        envelope("file_diff", data={"path": "a.go"}),
        envelope("command", data={"command": "go test ./..."}),
        envelope("ai_response"),
    )
    assert read(candidate, session, "recent-activity") == {
        "summary": "In the last 20 minutes: 1 prompt; 2 changed files (a.go, b.go); 1 command (go test ./...).",
        "recentActivity": {"filesChanged": ["b.go", "a.go"], "commands": ["go test ./..."], "promptCount": 1},
        "periodMinutes": 20,
        "eventCount": 6,
    }


def test_recent_is_what_arrived_by_the_servers_clock(clock, candidate, session):
    add(session, envelope("prompt", at=90_000))
    clock.fixed += timedelta(minutes=30)
    add(session, envelope("prompt", at=-90_000))
    counts = [
        read(candidate, session, "recent-activity", **query)["eventCount"]
        for query in ({}, {"minutes": 29}, {"minutes": 60})
    ]
    assert counts == [1, 1, 2]


def test_nothing_recent_is_an_answer_too(candidate, session):
    found = read(candidate, session, "recent-activity", minutes=1)
    assert found["summary"] == "In the last minute: nothing recorded."
    assert found["recentActivity"] == {"filesChanged": [], "commands": [], "promptCount": 0}


@pytest.mark.parametrize("wrong", ["0", "61", "-1", "ten", "1.5", "9" * 30])
def test_minutes_are_1_to_60(candidate, session, wrong):
    assert places(candidate.get(path(session, "recent-activity"), minutes=wrong)) == [["minutes"]]


def test_recent_activity_works_after_the_end(clock, candidate, session):
    add(session, envelope("prompt"))
    sessions.complete(session)
    assert read(candidate, session, "recent-activity")["recentActivity"]["promptCount"] == 1
