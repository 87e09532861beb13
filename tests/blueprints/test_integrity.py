"""A recording's integrity: signatures, the client's chain, the ledger."""

import json
from datetime import timedelta

import pytest
from callers import Caller
from factories import add_event, envelope, make_key, make_session
from response_checks import body_of
from signing import Signer

from delivery.worker import Worker
from delivery.worker.housekeeping import run_daily_tasks
from models import Event, batches, sessions
from models.ledger import numbering
from models.sessions.events import MAX_VERIFIED_BYTES
from rules.timestamps import format_timestamp


@pytest.fixture
def signer():
    return Signer()


@pytest.fixture
def signed(clock, assessment, signer):
    """An open session with a registered public key."""
    return make_session(make_key(assessment), signer.public_key)


@pytest.fixture
def chained(clock, signed, signer):
    """Five signed events that the ledger lists."""
    events = [signer.event(signed, at=second, data={"text": f"number {second}"}) for second in range(5)]
    add(signed, *events)
    clock.fixed += 2 * numbering.LISTING_DELAY
    numbering.number_new()
    return events


def add(session, *events):
    for event in events:
        add_event(session, event)


def integrity(reviewer, session):
    return body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))


def findings(reviewer, session):
    return [(finding["code"], finding["eventIds"]) for finding in integrity(reviewer, session)["findings"]]


def codes(reviewer, session):
    return [code for code, _ in findings(reviewer, session)]


def signed_log(app, session):
    return Caller.candidate(app, session.key).get(f"/v1/sessions/{session.id}/signed-log").json


def row_of(event):
    return Event.get(Event.event_id == event["id"])


def overwrite(row, text):
    Event.update(envelope=text).where(Event.seq == row.seq).execute()


def test_intact_recording_has_no_findings(reviewer, signed, signer, chained):
    body = integrity(reviewer, signed)
    counts = dict.fromkeys(body["counts"], 0) | {"events": 5, "valid": 5, "recorded": 5}
    assert (body["findings"], body["counts"]) == ([], counts)
    assert (body["publicKeys"], body["checkpoint"]) == ([signer.public_key], None)


@pytest.mark.parametrize("fields", [{"sig": "a" * 129}, {"prevSig": "a" * 129}], ids=["sig", "prevSig"])
@pytest.mark.parametrize("data", [{}, {"text": "x" * MAX_VERIFIED_BYTES}], ids=["small", "large"])
def test_event_with_an_overlong_signature_is_invalid(app, reviewer, signed, signer, fields, data):
    signer.last_sig = fields.get("prevSig")
    event = signer.event(signed, data=data) | fields
    add(signed, event)
    assert row_of(event).verdict == "invalid"
    assert findings(reviewer, signed)[0] == ("signature_invalid", [event["id"]])
    (entry,) = signed_log(app, signed)["events"]
    assert entry["payload"] == event
    assert (entry["sigVerified"], entry["sig"]) == (False, event["sig"][:128])
    assert entry["prevSig"] == (event["prevSig"][:128] if "prevSig" in event else None)


def test_excess_findings_of_a_code_are_merged(reviewer, signed, monkeypatch):
    monkeypatch.setattr("rules.integrity.findings.MAX_FINDINGS_PER_CODE", 3)
    for number in range(5):
        previous = "a" * number + "b"
        add(signed, *(envelope(sig=f"{number} {branch}", prevSig=previous) for branch in "xyz"))
    forks = [each for each in integrity(reviewer, signed)["findings"] if each["code"] == "chain_fork"]
    assert [finding["count"] for finding in forks] == [3, 3, 9]
    assert len({event_id for finding in forks for event_id in finding["eventIds"]}) == 3 * 5


def test_all_changed_and_missing_events_are_named(reviewer, signed, chained):
    """Two events are swapped, and three removed."""
    ids = [event["id"] for event in chained]
    second, fourth = row_of(chained[1]), row_of(chained[3])
    overwrite(second, fourth.envelope)
    overwrite(fourth, second.envelope)
    Event.delete().where(Event.event_id.in_(ids[::2])).execute()
    reported = findings(reviewer, signed)
    assert [named for code, named in reported if code == "event_missing"] == [ids[::2]]
    assert [named for code, named in reported if code == "event_changed"] == [ids[1::2]]


def test_event_lost_in_transit_is_a_gap(reviewer, signed, signer):
    first, _, third = (signer.event(signed, at=second) for second in range(3))
    add(signed, first, third)
    assert findings(reviewer, signed) == [("chain_gap", [third["id"]])]


def test_signatures_with_an_unknown_key_are_invalid(reviewer, signed, monkeypatch):
    monkeypatch.setattr("rules.integrity.findings.MAX_EVENT_IDS", 2)
    unknown = Signer(seed=9)
    events = [unknown.event(signed, at=second) for second in range(3)]
    add(signed, *events)
    (finding,) = integrity(reviewer, signed)["findings"]
    assert (finding["code"], finding["count"]) == ("signature_invalid", 3)
    assert finding["eventIds"] == [event["id"] for event in events[:2]]


def test_all_of_a_sessions_keys_are_accepted(app, reviewer, assessment):
    key, signers = make_key(assessment), [Signer(1), Signer(2)]
    session, _ = [make_session(key, signer.public_key) for signer in signers]
    add(session, *(signer.event(session) for signer in signers))
    assert integrity(reviewer, session)["counts"]["valid"] == 2
    assert signed_log(app, session)["signingPubkey"] == signers[1].public_key


def test_events_are_counted_by_signature_and_ledger(reviewer, session):
    add(session, envelope(), Signer().event(session))
    counts = integrity(reviewer, session)["counts"]
    assert (counts["unsigned"], counts["unknownKey"], counts["notRecorded"]) == (1, 1, 2)


def test_each_event_is_listed_once(clock, reviewer, session):
    for _ in range(3):
        add(session, envelope())
        clock.fixed += 2 * numbering.LISTING_DELAY
        numbering.number_new()
    assert numbering.number_new() == 0
    assert integrity(reviewer, session)["counts"]["recorded"] == 3
    assert integrity(reviewer, session)["findings"] == []


def test_event_that_commits_late_is_listed(clock, reviewer, session, assessment, monkeypatch):
    monkeypatch.setattr(numbering, "SEARCH_MARGIN", 1)
    slow = make_session(make_key(assessment))
    add(slow, envelope())
    add(session, envelope(), envelope())
    clock.fixed += 2 * numbering.LISTING_DELAY
    numbering.list_session(session.id)
    numbering.number_new()
    assert integrity(reviewer, slow)["counts"]["notRecorded"] == 1
    run_daily_tasks(None, set())
    assert integrity(reviewer, slow)["counts"]["notRecorded"] == 0


@pytest.mark.parametrize("max_bytes", [1, 1000])
def test_events_are_read_in_batches(app, reviewer, signed, signer, monkeypatch, max_bytes):
    monkeypatch.setattr(batches, "MAX_BYTES", max_bytes)
    monkeypatch.setattr(batches, "MAX_ROWS", 3)
    events = [signer.event(signed, at=second) for second in range(7)]
    add(signed, *reversed(events))
    numbering.number_new()
    assert integrity(reviewer, signed)["findings"] == []
    assert [entry["payload"] for entry in signed_log(app, signed)["events"]] == events


def test_candidate_and_reviewer_see_the_checkpoint_ten_minutes_after_the_close(
    clock, app, reviewer, signed, chained, worker
):
    def checkpoint():
        worker.run_once()
        of_candidate = Caller.candidate(app, signed.key).get(f"/v1/sessions/{signed.id}").json["checkpoint"]
        of_reviewer = body_of(reviewer.get(f"/v1/sessions/{signed.id}"))["checkpoint"]
        assert of_candidate == of_reviewer == integrity(reviewer, signed)["checkpoint"]
        return of_candidate

    assert checkpoint() is None
    sessions.complete(signed)
    clock.fixed += timedelta(minutes=10)
    assert checkpoint() is None
    clock.fixed += timedelta(milliseconds=1)
    published = checkpoint()
    assert published["createdAt"] == format_timestamp(clock.now())
    clock.fixed += timedelta(hours=2)
    add(signed, envelope())
    assert checkpoint() == published


def test_signed_log_has_signed_events_in_chain_order(app, signed, signer):
    events = [signer.event(signed, at=second) for second in (3, 1, 2)]
    add(signed, *reversed(events), envelope())
    log = signed_log(app, signed)
    assert (log["sessionId"], log["signingPubkey"]) == (str(signed.id), signer.public_key)
    assert [entry["payload"] for entry in log["events"]] == events
    assert [entry["prevSig"] for entry in log["events"]] == [None, events[0]["sig"], events[1]["sig"]]
    assert all(entry["sigVerified"] for entry in log["events"])


def test_signed_log_of_an_unsigned_session_is_empty(app, session):
    assert signed_log(app, session) == {"sessionId": str(session.id), "signingPubkey": "", "events": []}


def test_worker_verifies_large_events(app, reviewer, signed, signer):
    add(signed, signer.event(signed, data={"text": "x" * 300_000}))
    assert integrity(reviewer, signed)["counts"]["notJudged"] == 1
    assert [entry["sigVerified"] for entry in signed_log(app, signed)["events"]] == [None]
    assert Event.verify_pending() == 1
    assert [entry["sigVerified"] for entry in signed_log(app, signed)["events"]] == [True]
    assert integrity(reviewer, signed)["counts"]["valid"] == 1


# Signing clients


def test_unsigned_events_with_implausible_times_are_findings(clock, reviewer, signed):
    clock.fixed += timedelta(minutes=5)
    ancient, future = (envelope() | {"ts": f"{year}-01-01T00:00:00Z"} for year in (1700, 2260))
    add(signed, ancient, future)
    sessions.complete(signed)
    clock.fixed += timedelta(minutes=11)
    Worker(reviewer.client.application.config).run_once()
    ids_by_code = dict(findings(reviewer, signed))
    assert ids_by_code.keys() == {"unsigned_event", "time_far_from_arrival", "duration_too_long"}
    for code in ("unsigned_event", "time_far_from_arrival"):
        assert ids_by_code[code] == [ancient["id"], future["id"]]
    metrics = reviewer.get(f"/v1/sessions/{signed.id}").json["metrics"]
    assert metrics["durationMs"] > 500 * 365 * 24 * 3_600_000


EDITOR = {"integration": "vscode", "channel": "ide-extension"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kind": "editor_edit", "source": EDITOR}, []),
        ({"kind": "file_create", "source": EDITOR}, []),
        ({"kind": "prompt", "source": EDITOR}, ["unsigned_event"]),
        ({"kind": "prompt", "source": "claude-code"}, ["unsigned_event"]),
        ({"kind": "note", "source": {"channel": "other"}}, ["unsigned_event"]),
        ({"kind": "note", "source": None}, ["unsigned_event"]),
    ],
)
def test_only_the_editor_extension_can_send_unsigned_events(reviewer, signed, fields, expected):
    add(signed, envelope() | fields)
    assert codes(reviewer, signed) == expected


@pytest.mark.parametrize(("minutes", "expected"), [(120, []), (121, ["time_far_from_arrival"])])
@pytest.mark.parametrize("sign", [1, -1])
def test_event_time_can_differ_from_its_arrival_by_two_hours(
    reviewer, signed, signer, minutes, sign, expected
):
    add(signed, signer.event(signed, at=sign * minutes * 60))
    assert codes(reviewer, signed) == expected


@pytest.mark.parametrize(("minutes", "expected"), [(40, []), (41, ["duration_too_long"])])
def test_duration_is_limited_by_redeem_and_close(clock, reviewer, signed, signer, minutes, expected):
    add(signed, signer.event(signed, at=0), signer.event(signed, at=minutes * 60))
    clock.fixed += timedelta(minutes=30)
    sessions.complete(signed)
    assert codes(reviewer, signed) == expected


def test_times_are_not_checked_without_a_signing_key(clock, reviewer, session):
    add(session, *(envelope() | {"ts": f"{year}-01-01T00:00:00Z"} for year in (1700, 2260)))
    sessions.complete(session)
    assert codes(reviewer, session) == []


@pytest.mark.parametrize("hours", [1, 23])
def test_late_event_is_not_a_finding(clock, app, reviewer, signed, chained, signer, hours):
    """The event arrives after the checkpoint."""
    worker = Worker(app.config)
    sessions.complete(signed)
    clock.fixed += timedelta(hours=hours)
    worker.run_once()
    late = signer.event(signed, at=5)
    response = Caller.candidate(app, signed.key).post("/v1/hooks/ingest", late)
    assert body_of(response, 201) == {"ok": True, "late": True}
    assert codes(reviewer, signed) == []
    worker.run_once()
    assert codes(reviewer, signed) == []
    assert integrity(reviewer, signed)["counts"]["recorded"] == 6


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "x" * 300, "source": {"integration": 7, "emitter": "", "channel": "cli"}},
        {"data": {"text": "\x00\ud800"}, "rawPayload": {"n": 1e300}},
        {"actor": "human", "provenance": [1]},
        {"actor": {"type": "a\x07b"}, "provenance": {"attribution": 3}},
        {"ts": "2026-04-01t11:00:00.123456789+02:00"},
        {"sig": "x", "prevSig": 7},
        {"sig": "", "prevSig": ""},
        {"v": 99, "data": {"n": 0.1}},
    ],
)
def test_unusual_event_is_not_a_finding(app, reviewer, session, fields):
    body = json.dumps(envelope() | fields)
    caller = Caller.candidate(app, session.key)
    response = caller.request("POST", "/v1/hooks/ingest", data=body, content_type="application/json")
    assert response.status_code == 201, response.json
    numbering.number_new()
    assert {"event_changed", "event_inserted", "column_changed"}.isdisjoint(codes(reviewer, session))
