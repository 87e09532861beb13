"""Final seals and seal keys (R43)."""

import json
from datetime import timedelta

import peewee
import pytest
from callers import Caller
from factories import add_event, envelope, make_assessment, make_closed_session, make_key, make_session
from response_checks import body_of, error_of

from models import (
    AuditChain,
    Event,
    FeedEvent,
    FinalSeal,
    ReceivedEvent,
    Seal,
    Session,
    TaskFailure,
    privacy,
    sessions,
)
from models.ledger import audit, seal_keys, seals
from models.sessions import final_seals
from ops import admin
from rules.session_quota import Quota

KEYS = {"one": b"1" * 32, "two": b"2" * 32}


@pytest.fixture
def closed(clock, assessment):
    return make_closed_session(
        assessment, envelope(), envelope("command", 5, {"command": "pytest", "exitCode": 0})
    )


@pytest.fixture
def sealed(clock, closed, worker):
    seal_closed(clock, worker)
    return Session.get_by_id(closed.id)


@pytest.fixture
def assert_valid(flask, reviewer):
    def check(*sessions):
        assert [codes(reviewer, session) for session in sessions] == [[] for _ in sessions]
        assert flask("seals", "verify") == "No differences.\n"
        assert flask("audit", "verify")

    return check


def seal_closed(clock, worker):
    clock.fixed += timedelta(minutes=11)
    worker.run_once()


def integrity(reviewer, session):
    return body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))


def codes(reviewer, session):
    return [finding["code"] for finding in integrity(reviewer, session)["findings"]]


def reasons(session):
    return [seal.reason for seal in FinalSeal.of(session)]


def received_event():
    return ReceivedEvent.of(event := envelope(), 0, json.dumps(event))


def event_keys(session):
    return [seal.key_id for seal in Seal.select().where(Seal.session == session).order_by(Seal.position)]


def test_a_session_is_sealed_ten_minutes_after_its_close(clock, reviewer, closed, worker):
    clock.fixed += timedelta(minutes=10)
    worker.run_once()
    assert integrity(reviewer, closed)["finalSeal"] is None
    clock.fixed += timedelta(milliseconds=1)
    worker.run_once()
    seal = integrity(reviewer, closed)["finalSeal"]
    assert seal == {"number": 1, "reason": "closed", "keyId": "test", "sealedAt": "2026-04-01T09:10:00.001Z"}
    (event,) = FeedEvent.select().where(FeedEvent.type == "session.sealed")
    head = Session.get_by_id(closed.id).seal_head.hex()
    assert (event.data["sessionId"], event.data["head"], event.data["count"]) == (str(closed.id), head, 2)
    worker.run_once()
    assert reasons(closed) == ["closed"]


def hire(reviewer, session):
    body_of(reviewer.patch(f"/v1/candidates/{session.key_id}", {"hired": True}))


def submit_tests(reviewer, session):
    body_of(reviewer.put(f"/v1/sessions/{session.id}/test-result", {"passed": 3, "failed": 0}))


def send_late_event(reviewer, session):
    caller = Caller.candidate(reviewer.client.application, session.key)
    assert body_of(caller.post("/v1/hooks/ingest", envelope("prompt", 99)), 201) == {"ok": True, "late": True}


def erase(reviewer, session):
    body_of(reviewer.delete(f"/v1/candidates/{session.key_id}/data"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [(hire, "hired"), (submit_tests, "tests_submitted"), (send_late_event, "late_events"), (erase, "erased")],
)
def test_a_legitimate_change_appends_a_seal_with_its_reason(reviewer, sealed, worker, change, reason):
    findings = ["erased"] if change == erase else []
    change(reviewer, sealed)
    assert codes(reviewer, sealed) == findings
    worker.run_once()
    assert codes(reviewer, sealed) == findings
    assert reasons(sealed) == ["closed", reason]


def test_metrics_ignore_events_forged_after_an_erasure(reviewer, sealed):
    """The forged events are deleted before the next integrity check."""
    erase(reviewer, sealed)
    before, forged = reasons(sealed), Event.row(received_event(), [])
    Event.insert(forged | {"session": sealed, "received_at": sealed.closed_at, "late": False}).execute()
    Session.update(metrics_due=True).where(Session.id == sealed.id).execute()
    sessions.close_all_due()
    Event.delete().where(Event.session == sealed).execute()
    row = Session.get_by_id(sealed.id)
    assert (row.event_count, row.prompt_count, row.metrics_due) == (2, 1, False)
    assert reasons(sealed) == before


def test_metrics_of_changed_events_are_not_sealed(reviewer, sealed):
    changed = Event.update(envelope=peewee.fn.REPLACE(Event.envelope, '"exitCode": 0', '"exitCode": 1'))
    restored = Event.update(envelope=peewee.fn.REPLACE(Event.envelope, '"exitCode": 1', '"exitCode": 0'))
    changed.where(Event.session == sealed).execute()
    Session.update(metrics_due=True).where(Session.id == sealed.id).execute()
    sessions.close_all_due()
    restored.where(Event.session == sealed).execute()
    erase(reviewer, sealed)
    assert reasons(sealed) == ["closed", "erased"]
    assert codes(reviewer, sealed) == ["erased", "metrics_changed"]


def test_events_rejected_after_the_final_seal_are_not_counted(reviewer, sealed):
    quota = Quota(max_bytes=0, max_events=0)
    assert sessions.append(sealed, received_event(), quota=quota) == ["full"]
    assert codes(reviewer, sealed) == []


def test_seals_of_earlier_versions_stay_valid(reviewer, sealed, assert_valid):
    seal = FinalSeal.newest(sealed)
    parts = {name: part for name, part in seal.parts.items() if name not in ("owner", "client", "previous")}
    seal.content = json.dumps(parts)
    mac = seal_keys.sign(*seal.signed_fields)[1]
    seal.update_columns(content=seal.content, mac=mac)
    Session.update(**final_seals.sign_record(sealed, seal)).where(Session.id == sealed.id).execute()
    hire(reviewer, sealed)
    assert_valid(sealed)
    assert "owner" not in FinalSeal.newest(sealed).parts
    assert FinalSeal.newest(sealed).parts["previous"] == {"mac": mac.hex()}


def test_recomputing_metrics_appends_a_seal(clock, reviewer, closed, worker):
    Session.update(prompt_count=9, derivation_version=0).where(Session.id == closed.id).execute()
    seal_closed(clock, worker)
    assert admin.rederive(closed)["promptCount"] == (9, 1)
    assert reasons(closed) == ["closed", "rederived"]
    assert codes(reviewer, closed) == []


def test_hiring_and_undoing_it_appends_two_seals(reviewer, sealed):
    hire(reviewer, sealed)
    hire(reviewer, sealed)
    body_of(reviewer.patch(f"/v1/candidates/{sealed.key_id}", {"hired": False}))
    assert reasons(sealed) == ["closed", "hired", "hired"]
    assert codes(reviewer, sealed) == []


def test_the_worker_closes_and_seals_an_expired_session(clock, reviewer, organization, worker):
    session = make_session(make_key(make_assessment(organization, time_limit_minutes=30)))
    clock.fixed += timedelta(minutes=60)
    worker.run_once()
    assert FinalSeal.newest(session).parts["status"]["status"] == "expired"
    assert codes(reviewer, session) == []


def test_a_missing_final_seal_is_a_finding_after_an_hour(clock, reviewer, closed):
    Seal.seal_new()
    clock.fixed += timedelta(minutes=70)
    assert codes(reviewer, closed) == []
    clock.fixed += timedelta(seconds=1)
    assert codes(reviewer, closed) == ["seal_missing"]


def test_after_an_erasure_the_seal_has_no_names(sealed):
    privacy.erase(sealed.key)
    parts = FinalSeal.newest(sealed).parts
    assert parts["erasure"] == {"erased": True}
    assert parts["metrics"]["further"]["tool_usage"] == {}


def test_without_keys_the_chain_still_detects_careless_changes(clock, reviewer, assessment, worker):
    forget_keys()
    session = make_closed_session(assessment, envelope(), envelope())
    seal_closed(clock, worker)
    assert codes(reviewer, session) == []
    assert integrity(reviewer, session)["finalSeal"]["keyId"] is None
    Session.update(duration_ms=1).where(Session.id == session.id).execute()
    assert codes(reviewer, session) == ["metrics_changed"]


def forget_keys():
    seal_keys.use(None)
    AuditChain.update(key_id=None, mac=None).execute()


@pytest.fixture
def keyless(clock, assessment, worker):
    """A sealed session, and an open session with an unsealed event, both from before the first key."""
    forget_keys()
    closed, opened = make_closed_session(assessment, envelope()), make_session(make_key(assessment))
    add_event(opened, envelope())
    seal_closed(clock, worker)
    add_event(opened, envelope())
    seal_keys.use(KEYS)
    return closed, opened


def test_seals_from_before_the_first_key_stay_valid(reviewer, keyless, worker, assert_valid):
    closed, opened = keyless
    assert codes(reviewer, closed) == codes(reviewer, opened) == []
    hire(reviewer, closed)
    worker.run_once()
    add_event(opened, envelope())
    worker.run_once()
    assert_valid(closed, opened)
    assert event_keys(opened) == [None, None, "one"]


def test_nothing_is_signed_before_the_first_key_is_adopted(clock, reviewer, assessment, worker, assert_valid):
    forget_keys()
    closed = make_closed_session(assessment, envelope())
    seal_closed(clock, worker)
    add_event(make_session(make_key(assessment)), envelope())
    seal_keys.use(KEYS)
    hire(reviewer, closed)
    assert audit.chain_new() > 0
    assert not AuditChain.is_keyed()
    Seal.seal_skipped()
    assert AuditChain.is_keyed()
    assert_valid(closed)


def test_an_interrupted_adoption_continues(reviewer, keyless, worker, monkeypatch, assert_valid):
    closed, opened = keyless
    monkeypatch.setattr(seals, "ADOPTION_BATCH_SIZE", 1)

    def crash_at_the_second(session, newest, sign=final_seals.sign_record):
        if session.id == opened.id:
            raise KeyboardInterrupt
        return sign(session, newest)

    with monkeypatch.context() as crash:
        crash.setattr(final_seals, "sign_record", crash_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            Seal.seal_new()
    hire(reviewer, closed)
    signed_by = Session.select(Session.seal_key_id).order_by(Session.id).tuples()
    assert list(signed_by) == [("one",), (None,)]
    assert audit.chain_new() > 0
    assert not AuditChain.is_keyed()
    for _ in range(2):
        worker.run_once()
        assert_valid(closed, opened)
        add_event(opened, envelope())
    assert event_keys(opened) == [None, None, "one"]


def test_after_a_rotation_both_keys_verify_and_the_first_signs(session, worker, assert_valid):
    seal_keys.use({"one": KEYS["one"]} | seal_keys.known())
    add_event(session, envelope())
    worker.run_once()
    seal_keys.use({"two": KEYS["two"]} | seal_keys.known())
    add_event(session, envelope())
    worker.run_once()
    assert_valid(session)
    assert event_keys(session) == ["one", "two"]


def test_a_process_without_the_new_key_waits(clock, reviewer, sealed, session, worker, assert_valid):
    old = seal_keys.known()
    new = {"one": KEYS["one"]} | old
    seal_keys.use(new)
    add_event(session, envelope())
    hire(reviewer, sealed)
    worker.run_once()

    seal_keys.use(old)
    add_event(session, envelope())
    path = f"/v1/candidates/{sealed.key_id}"
    assert error_of(reviewer.patch(path, {"hired": False})) == (503, "unavailable")
    body_of(reviewer.post("/v1/issues", {"title": "One", "taskBrief": "Two"}), 201)
    worker.run_once()
    failures = TaskFailure.select(TaskFailure.task, TaskFailure.error).tuples()
    assert sorted(failures) == [("chain", "UnknownSealKey"), ("seal", "UnknownSealKey")]

    seal_keys.use(new)
    clock.fixed += timedelta(minutes=1)
    body_of(reviewer.patch(path, {"hired": False}))
    worker.run_once()
    assert TaskFailure.select().count() == 0
    assert_valid(sealed, session)


def test_sealing_waits_for_a_removed_key(clock, organization, session, worker, assert_valid):
    both = {"one": KEYS["one"]} | seal_keys.known()
    seal_keys.use(both)
    audit.AuditEntry.record(organization.id, "anything", audit.COMMAND)
    worker.run_once()
    seal_keys.use({"one": KEYS["one"]})
    add_event(session, envelope())
    worker.run_once()
    failures = TaskFailure.select(TaskFailure.task, TaskFailure.owner).tuples()
    assert list(failures) == [("seal", str(session.id))]
    seal_keys.use(both)
    clock.fixed += timedelta(minutes=1)
    worker.run_once()
    assert_valid(session)


def test_an_erasure_succeeds_without_the_key(reviewer, sealed):
    seal_keys.use(KEYS)
    erase(reviewer, sealed)
    assert reasons(sealed) == ["closed"]


def test_an_unknown_key_is_a_finding_but_not_a_break(flask, reviewer, sealed):
    seal_keys.use(KEYS)
    assert codes(reviewer, sealed) == ["seal_key_unknown"]
    assert "signed with an unknown key" in flask("seals", "verify", fails=True)


def test_a_session_is_only_sealed_after_its_metrics_are_computed(clock, closed):
    clock.fixed += timedelta(minutes=11)
    closed.update_columns(metrics_due=True)
    assert sessions.seal_due() == 0
    assert sessions.close_all_due() == 1
    assert sessions.seal_due() == 1
    assert reasons(closed) == ["closed"]
