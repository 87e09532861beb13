"""Manipulations with write access to the database, and the finding that reports each of them.

The record is sealed with a key that is not in the database. The worker, which has the key, must not cover up any of
them. tests/ops/test_seal_check.py has the two that only an anchor reveals.
"""

import json
import uuid
from datetime import timedelta

import pytest
from factories import add_event, envelope, make_assessment, make_key, make_session
from response_checks import body_of
from signing import Signer

from models import (
    CandidateKey,
    Consent,
    Erasure,
    Event,
    FinalSeal,
    Seal,
    Session,
    SigningKey,
    clock,
    db,
    privacy,
    sessions,
)  # fmt: skip
from rules.integrity.seal_keys import mac
from rules.integrity.seals import initial_head, next_head
from rules.timestamps import format_timestamp


class Record:
    """A closed session with five signed events and its final seal."""

    def __init__(self, session):
        self.session = Session.get_by_id(session.id)
        self.events = list(Event.select().where(Event.session == session).order_by(Event.seq))
        self.seals = list(Seal.select().where(Seal.session == session).order_by(Seal.position))

    def set(self, **columns):
        Session.update(**columns).where(Session.id == self.session.id).execute()

    def set_event(self, number, **columns):
        Event.update(**columns).where(Event.seq == self.events[number].seq).execute()

    def insert_event(self, **columns):
        """Insert a copy of the first event with another id."""
        row = Event.select().where(Event.seq == self.events[0].seq).dicts().get()
        event = json.loads(row.pop("envelope")) | {"id": str(uuid.uuid4())}
        del row["seq"]
        row |= {"event_id": event["id"], "envelope": json.dumps(event), "received_at": clock.now()} | columns
        row["size"] = len(row["envelope"])
        return Event.insert(row).execute()

    def delete_event(self, number):
        Event.delete().where(Event.seq == self.events[number].seq).execute()

    def delete_tail(self):
        """Delete the last event with its seal, and set the session's head back."""
        self.delete_event(4)
        Seal.delete().where(Seal.id == self.seals[4].id).execute()
        self.set(sealed_count=4, seal_head=self.seals[3].head)

    def delete_event_seals(self):
        Seal.delete().where(Seal.session == self.session).execute()
        self.set(sealed_count=0, seal_head=None)

    def reseal_without_key(self):
        """Recompute the chain by the rule without a key."""
        head = initial_head(str(self.session.id))
        for seal in Seal.select().where(Seal.session == self.session).order_by(Seal.position):
            event = Event.get_or_none(Event.seq == seal.event_seq)
            digest = mac(None, event.envelope)
            head = next_head(head, event.seq, format_timestamp(event.received_at), digest)
            Seal.update(head=head, key_id=None).where(Seal.id == seal.id).execute()
        self.set(seal_head=head)

    def swap_events(self):
        self.set_event(1, envelope=self.events[3].envelope)
        self.set_event(3, envelope=self.events[1].envelope)

    def rewrite_event(self):
        changed = self.events[2].envelope.replace("number 2", "number 9")
        self.set_event(2, envelope=changed, arrival_mac=None)

    def rewrite_and_rename_key(self, number):
        """Rewrite an event, and name a key that nobody knows."""
        changed = self.events[number].envelope.replace("number", "NUMBER")
        self.set_event(number, envelope=changed, arrival_mac="other:00")
        Seal.update(key_id="other").where(Seal.id == self.seals[number].id).execute()

    def rewrite_and_rename_later_keys(self):
        self.rewrite_and_rename_key(2)
        Seal.update(key_id="other").where(Seal.session == self.session, Seal.position > 2).execute()
        self.set(seal_key_id="other")

    def rewrite_and_reseal(self):
        self.rewrite_event()
        self.reseal_without_key()

    def insert_with_seal(self):
        """Insert an event and chain it by the rule without a key."""
        seq = self.insert_event(arrival_mac=None)
        event = Event.get(Event.seq == seq)
        received_at, digest = format_timestamp(event.received_at), mac(None, event.envelope)
        head = next_head(self.seals[4].head, seq, received_at, digest)
        Seal.create(session=self.session, position=6, event_seq=seq, event_id=event.event_id, head=head)
        self.set(sealed_count=6, seal_head=head)

    def insert_behind_decoy(self):
        """Insert an event, and a seal of another session that claims its number of arrival."""
        seq = self.insert_event(arrival_mac=None)
        other = make_session(make_key(self.session.key.assessment))
        Seal.create(session=other, position=1_000_000, event_seq=seq, event_id="decoy", head=bytes(32))
        self.set(metrics_due=True)

    def delete_final_seals(self):
        FinalSeal.delete().where(FinalSeal.session == self.session).execute()

    def delete_final_seals_and_count(self):
        self.delete_final_seals()
        self.set(final_seal_count=0)

    def change_final_seal(self):
        """Change a metric, and the final seal to match it."""
        self.set(duration_ms=1)
        (seal,) = FinalSeal.select().where(FinalSeal.session == self.session)
        parts = seal.parts
        parts["metrics"]["duration_ms"] = 1
        seal.update_columns(content=json.dumps(parts))
        return seal

    def change_final_seal_without_key(self):
        seal = self.change_final_seal()
        seal.key_id = None
        seal.update_columns(key_id=None, mac=mac(None, *seal.signed_fields))

    def empty_final_seal(self):
        (seal,) = FinalSeal.select().where(FinalSeal.session == self.session)
        seal.content, seal.key_id = "{}", None
        seal.update_columns(content="{}", key_id=None, mac=mac(None, *seal.signed_fields))

    def strip_macs(self):
        self.set(seal_key_id=None, seal_mac=None, final_seal_mac=None)

    def fake_erasure(self):
        CandidateKey.update(erased_at=clock.now()).where(CandidateKey.id == self.session.key_id).execute()
        for table in (Seal, Event):
            table.delete().where(table.session == self.session).execute()

    def reopen(self):
        self.set(closed_at=None, closed_by=None, completed_at=None)

    def repeat_event(self):
        """Insert a copy of an event, which its index prevents."""
        db.execute_sql("DROP INDEX event_session_id_event_id")
        row = Event.select().where(Event.seq == self.events[2].seq).dicts().get()
        del row["seq"]
        Event.insert(row).execute()

    def replace_first_final_seal(self):
        """Replace the first of three final seals by one without a key."""
        for hired in (True, False):
            sessions.mark_hired(self.session, hired)
        first = FinalSeal.of(self.session).first()
        first.content, first.key_id = first.content.replace("0", "1"), None
        first.update_columns(content=first.content, key_id=None, mac=mac(None, *first.signed_fields))

    def insert_after_erasure(self):
        privacy.erase(self.session.key)
        row = Event(session=self.session, received_at=clock.now(), event_id="new", kind="note", envelope="{}")
        Event.insert(row.__data__ | {"time_ns": 0, "late": False, "size": 2}).execute()

    def delete_receipt(self):
        privacy.erase(self.session.key)
        Erasure.delete().execute()

    def insert_receipt(self):
        key = self.session.key
        Erasure.create(organization=key.organization, key=key, kind="reviewer", counts={})

    def rename_keys(self):
        for table in (Seal, FinalSeal):
            table.update(key_id="other").where(table.session == self.session).execute()
        self.set(seal_key_id="other")


def column(name, value):
    return lambda record: record.set(**{name: value})


def event_column(name, value):
    return lambda record: record.set_event(2, **{name: value})


HOUR = timedelta(hours=1)
MANIPULATIONS = {
    "an event is inserted": (lambda record: record.insert_event(arrival_mac=None, late=True), "event_inserted"),
    "an event is inserted with the MAC of another": (lambda record: record.insert_event(late=True), "event_inserted"),
    "an event is inserted with a MAC of an unknown key": (
        lambda record: record.insert_event(late=True, arrival_mac="other:00"),
        "event_inserted",
    ),
    "an event is inserted with a seal": (Record.insert_with_seal, "event_changed"),
    "an event is hidden behind a seal of another session": (Record.insert_behind_decoy, "event_inserted"),
    "an event is removed": (lambda record: record.delete_event(1), "event_missing"),
    "an event is removed with its seal": (
        lambda record: (record.delete_event(1), record.seals[1].delete_instance()),
        "event_missing",
    ),
    "the last event is removed": (lambda record: record.delete_event(4), "event_missing"),
    "the tail is truncated": (Record.delete_tail, "tail_truncated"),
    "all event seals are deleted": (Record.delete_event_seals, "tail_truncated"),
    "an event is rewritten": (Record.rewrite_event, "event_changed"),
    "an event is rewritten and its key renamed": (lambda record: record.rewrite_and_rename_key(2), "event_changed"),
    "the last event is rewritten and its key renamed": (
        lambda record: record.rewrite_and_rename_key(4),
        "event_changed",
    ),
    "an event is rewritten and all later keys renamed": (Record.rewrite_and_rename_later_keys, "event_changed"),
    "an event is rewritten and the chain recomputed": (Record.rewrite_and_reseal, "seal_broken"),
    "the chain is recomputed without a key": (Record.reseal_without_key, "seal_broken"),
    "two events are swapped": (Record.swap_events, "event_changed"),
    "an envelope is no longer JSON": (event_column("envelope", "nothing"), "event_changed"),
    "received_at is changed": (event_column("received_at", clock.now()), "event_changed"),
    "the session's head is changed": (column("seal_head", bytes(32)), "seal_broken"),
    "the number of sealed events is changed": (column("sealed_count", 7), "event_missing"),
    **{
        f"{name} is changed": (event_column(name, value), "column_changed")
        for name, value in {
            "kind": "note", "time_ns": 1, "late": True, "source": "codex", "actor": "ai", "attribution": "likely_ai",
            "size": 1, "verdict": "invalid", "event_id": "other", "channel": "proxy",
        }.items()
    },
    **{
        f"{name} is changed": (column(name, value), "metrics_changed")
        for name, value in {
            "duration_ms": 1, "prompt_count": 99, "command_fail_rate": 1, "verify_intensity": 1,
            "manual_edit_ratio": 1, "first_change_latency_ms": 1, "tests_passed": True, "event_count": 4,
            "derivation_version": 9, "further_metrics": {"tool_usage": {}, "tokens": {}},
        }.items()
    },
    **{
        f"{name} is changed": (lambda record, name=name: record.set(**{name: clock.now() - HOUR}), "session_changed")
        for name in ("completed_at", "closed_at", "created_at", "hired_at", "closes_at")
    },
    "closed_by is changed": (column("closed_by", "limit"), "session_changed"),
    "test results are changed": (column("tests_passed_count", 12), "session_changed"),
    "the session is opened again": (Record.reopen, "session_changed"),
    "an erasure is faked": (Record.fake_erasure, "session_changed"),
    "the final seals are deleted": (Record.delete_final_seals, "seal_missing"),
    "the final seals are deleted with their number": (Record.delete_final_seals_and_count, "seal_missing"),
    "a final seal is changed": (Record.change_final_seal, "seal_missing"),
    "a final seal is made without a key": (Record.change_final_seal_without_key, "seal_missing"),
    "a final seal is emptied without a key": (Record.empty_final_seal, "seal_missing"),
    "further metrics are no longer an object": (column("further_metrics", ["x"]), "metrics_changed"),
    "the session's MACs are removed": (Record.strip_macs, "seal_missing"),
    "an event is inserted twice": (Record.repeat_event, "event_inserted"),
    "an event is inserted after an erasure": (Record.insert_after_erasure, "event_inserted"),
    "the receipt of an erasure is deleted": (Record.delete_receipt, "session_changed"),
    "a receipt of an erasure is inserted": (Record.insert_receipt, "session_changed"),
    "an earlier final seal is replaced": (Record.replace_first_final_seal, "seal_missing"),
    "the session moves to another assessment": (
        lambda record: record.set(assessment=make_assessment(record.session.organization)),
        "session_changed",
    ),
    "the session moves to another candidate": (
        lambda record: record.set(key=make_key(record.session.assessment)),
        "session_changed",
    ),
    "the candidate key is changed": (
        lambda record: CandidateKey.update(key="PST-0000").where(CandidateKey.id == record.session.key_id).execute(),
        "session_changed",
    ),
    "a public key is inserted": (
        lambda record: SigningKey.create(session=record.session, public_key="00"),
        "session_changed",
    ),
    "the consent is changed": (lambda record: Consent.update(disclosure_version="9").execute(), "session_changed"),
    "the consent is deleted": (lambda record: Consent.delete().execute(), "session_changed"),
    "rejected events are invented": (column("rejected_event_count", 3), "session_changed"),
    "the key is renamed": (Record.rename_keys, "seal_key_unknown"),
}  # fmt: skip


@pytest.fixture
def record(clock, assessment, worker):
    signer = Signer()
    session = make_session(make_key(assessment), signer.public_key)
    for second in range(5):
        add_event(session, signer.event(session, at=second, data={"text": f"number {second}"}))
        clock.fixed += timedelta(seconds=1)
    sessions.complete(session)
    worker.run_once()
    clock.fixed += timedelta(minutes=11)
    worker.run_once()
    return Record(session)


def findings(reviewer, record):
    return [
        finding["code"]
        for finding in body_of(reviewer.get(f"/v1/sessions/{record.session.id}/integrity"))["findings"]
    ]


def test_the_untouched_record_has_no_findings(reviewer, record, worker):
    assert findings(reviewer, record) == []
    worker.run_once()
    assert findings(reviewer, record) == []
    assert FinalSeal.select().count() == 1


def test_every_manipulation_is_reported(clock, reviewer, record, worker):
    """Before the worker has run, and after it has."""
    reported, started = {}, clock.fixed
    for name, (manipulate, code) in MANIPULATIONS.items():
        with db.atomic() as undone:
            manipulated = Record(record.session)
            manipulate(manipulated)
            reported[name] = [code] if code in findings(reviewer, manipulated) else []
            worker.run_once()
            clock.fixed += timedelta(minutes=11)
            worker.run_once()
            reported[name] += [code] if code in findings(reviewer, manipulated) else []
            undone.rollback()
        clock.fixed = started
    assert reported == {name: [code, code] for name, (_, code) in MANIPULATIONS.items()}


def test_the_tail_of_an_open_session_cannot_be_truncated(clock, reviewer, assessment):
    session = make_session(make_key(assessment))
    for _ in range(5):
        add_event(session, envelope())
    Seal.seal_new()
    record = Record(session)
    assert findings(reviewer, record) == []
    record.delete_tail()
    assert findings(reviewer, record) == ["tail_truncated"]
    add_event(session, envelope())
    Seal.seal_new()
    assert findings(reviewer, record) == ["tail_truncated"]


@pytest.mark.parametrize("column", ["duration_ms", "tests_passed_count", "completed_at"])
def test_a_later_change_does_not_cover_up_a_manipulation(clock, reviewer, record, column):
    """The service signs only what its own change touched."""
    expected = "metrics_changed" if column == "duration_ms" else "session_changed"
    record.set(**{column: clock.now() if column == "completed_at" else 7})
    path = f"/v1/candidates/{record.session.key_id}"
    assert body_of(reviewer.patch(path, {"hired": True}))["candidate"]["status"] == "hired"
    assert FinalSeal.newest(record.session).reason == "hired"
    assert expected in findings(reviewer, record)


def test_the_numbers_of_an_erased_session_are_not_sealed_again(reviewer, record, worker):
    body_of(reviewer.delete(f"/v1/candidates/{record.session.key_id}/data"))
    assert findings(reviewer, record) == ["erased"]
    record.set(duration_ms=1, prompt_count=99, metrics_due=True)
    worker.run_once()
    assert findings(reviewer, record) == ["erased", "metrics_changed"]


def test_a_clock_that_was_set_back_is_no_manipulation(clock, reviewer, assessment, worker):
    session = make_session(make_key(assessment))
    add_event(session, envelope())
    clock.fixed -= timedelta(minutes=30)
    sessions.complete(session)
    worker.run_once()
    assert findings(reviewer, Record(session)) == []


def test_a_session_deleted_without_its_final_seals_is_reported(app, record):
    FinalSeal.update(session=make_session(make_key(record.session.key.assessment))).execute()
    for table in (Seal, Event):
        table.delete().where(table.session == record.session).execute()
    db.execute_sql("DELETE FROM signing_keys")
    record.session.delete_instance()
    output = app.test_cli_runner().invoke(args=["seals", "verify"]).output
    assert "its sessions have 0 final seals instead of 1" in output


def test_a_deleted_session_is_reported(app, reviewer, record):
    for table in (FinalSeal, Seal, Event):
        table.delete().where(table.session == record.session).execute()
    db.execute_sql("DELETE FROM signing_keys")
    record.session.delete_instance()
    result = app.test_cli_runner().invoke(args=["seals", "verify"])
    assert result.exit_code == 1
    assert "has 0 final seals instead of 1" in result.output
