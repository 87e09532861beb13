"""Every manipulation of the database is reported as a finding, before and after the worker has run.

The recording is sealed with a key outside the database. tests/ops/test_seal_check.py has the manipulations that only an
anchor reveals.
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


class Recording:
    """A closed session with five signed events and a final seal."""

    def __init__(self, session):
        self.session = Session.get_by_id(session.id)
        self.events = list(Event.select().where(Event.session == session).order_by(Event.seq))
        self.seals = list(Seal.select().where(Seal.session == session).order_by(Seal.position))

    def set(self, **columns):
        Session.update(**columns).where(Session.id == self.session.id).execute()

    def set_event(self, number, **columns):
        Event.update(**columns).where(Event.seq == self.events[number].seq).execute()

    def insert_event(self, **columns):
        """Insert a copy of the first event with a new id."""
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
        """Recompute the chain without a key."""
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
        """Rewrite an event with an unknown key id."""
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
        """Insert an event and extend the chain without a key."""
        seq = self.insert_event(arrival_mac=None)
        event = Event.get(Event.seq == seq)
        received_at, digest = format_timestamp(event.received_at), mac(None, event.envelope)
        head = next_head(self.seals[4].head, seq, received_at, digest)
        Seal.create(session=self.session, position=6, event_seq=seq, event_id=event.event_id, head=head)
        self.set(sealed_count=6, seal_head=head)

    def insert_behind_decoy(self):
        """Insert an event, and a different session's seal with its arrival number."""
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
        """Change a metric in the session and in its final seal."""
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
        """Insert a copy of an event without its unique index."""
        db.execute_sql("DROP INDEX event_session_id_event_id")
        row = Event.select().where(Event.seq == self.events[2].seq).dicts().get()
        del row["seq"]
        Event.insert(row).execute()

    def replace_first_final_seal(self):
        """Replace the first of three final seals, without a key."""
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
    return lambda r: r.set(**{name: value})


def event_column(name, value):
    return lambda r: r.set_event(2, **{name: value})


HOUR = timedelta(hours=1)
MANIPULATIONS = {
    "an event is inserted": (lambda r: r.insert_event(arrival_mac=None, late=True), "event_inserted"),
    "an event is inserted with a copied MAC": (lambda r: r.insert_event(late=True), "event_inserted"),
    "an event is inserted with an unknown key's MAC": (
        lambda r: r.insert_event(late=True, arrival_mac="other:00"),
        "event_inserted",
    ),
    "an event is inserted with a seal": (Recording.insert_with_seal, "event_changed"),
    "an event is hidden behind a different session's seal": (Recording.insert_behind_decoy, "event_inserted"),
    "an event is removed": (lambda r: r.delete_event(1), "event_missing"),
    "an event is removed with its seal": (lambda r: (r.delete_event(1), r.seals[1].delete_instance()), "event_missing"),
    "the last event is removed": (lambda r: r.delete_event(4), "event_missing"),
    "the tail is truncated": (Recording.delete_tail, "tail_truncated"),
    "all event seals are deleted": (Recording.delete_event_seals, "tail_truncated"),
    "an event is rewritten": (Recording.rewrite_event, "event_changed"),
    "an event is rewritten and its key id changed": (lambda r: r.rewrite_and_rename_key(2), "event_changed"),
    "the last event is rewritten and its key id changed": (lambda r: r.rewrite_and_rename_key(4), "event_changed"),
    "an event is rewritten and all later key ids changed": (Recording.rewrite_and_rename_later_keys, "event_changed"),
    "an event is rewritten and the chain recomputed": (Recording.rewrite_and_reseal, "seal_broken"),
    "the chain is recomputed without a key": (Recording.reseal_without_key, "seal_broken"),
    "two events are swapped": (Recording.swap_events, "event_changed"),
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
        f"{name} is changed": (lambda r, name=name: r.set(**{name: clock.now() - HOUR}), "session_changed")
        for name in ("completed_at", "closed_at", "created_at", "hired_at", "closes_at")
    },
    "closed_by is changed": (column("closed_by", "limit"), "session_changed"),
    "test results are changed": (column("tests_passed_count", 12), "session_changed"),
    "the session is reopened": (Recording.reopen, "session_changed"),
    "an erasure is faked": (Recording.fake_erasure, "session_changed"),
    "the final seals are deleted": (Recording.delete_final_seals, "seal_missing"),
    "the final seals and their count are deleted": (Recording.delete_final_seals_and_count, "seal_missing"),
    "a final seal is changed": (Recording.change_final_seal, "seal_missing"),
    "a final seal is changed without a key": (Recording.change_final_seal_without_key, "seal_missing"),
    "a final seal is emptied without a key": (Recording.empty_final_seal, "seal_missing"),
    "further metrics are no longer an object": (column("further_metrics", ["x"]), "metrics_changed"),
    "the session's MACs are removed": (Recording.strip_macs, "seal_missing"),
    "an event is inserted twice": (Recording.repeat_event, "event_inserted"),
    "an event is inserted after an erasure": (Recording.insert_after_erasure, "event_inserted"),
    "an erasure receipt is deleted": (Recording.delete_receipt, "session_changed"),
    "an erasure receipt is inserted": (Recording.insert_receipt, "session_changed"),
    "an earlier final seal is replaced": (Recording.replace_first_final_seal, "seal_missing"),
    "the session is moved to a different assessment": (
        lambda r: r.set(assessment=make_assessment(r.session.organization)),
        "session_changed",
    ),
    "the session is moved to a different candidate": (
        lambda r: r.set(key=make_key(r.session.assessment)),
        "session_changed",
    ),
    "the candidate key is changed": (
        lambda r: CandidateKey.update(key="PST-0000").where(CandidateKey.id == r.session.key_id).execute(),
        "session_changed",
    ),
    "a public key is inserted": (lambda r: SigningKey.create(session=r.session, public_key="00"), "session_changed"),
    "the consent is changed": (lambda r: Consent.update(disclosure_version="9").execute(), "session_changed"),
    "the consent is deleted": (lambda r: Consent.delete().execute(), "session_changed"),
    "rejected events are invented": (column("rejected_event_count", 3), "session_changed"),
    "the key id is changed": (Recording.rename_keys, "seal_key_unknown"),
}  # fmt: skip


@pytest.fixture
def recording(clock, assessment, worker):
    signer = Signer()
    session = make_session(make_key(assessment), signer.public_key)
    for second in range(5):
        add_event(session, signer.event(session, at=second, data={"text": f"number {second}"}))
        clock.fixed += timedelta(seconds=1)
    sessions.complete(session)
    worker.run_once()
    clock.fixed += timedelta(minutes=11)
    worker.run_once()
    return Recording(session)


def findings(reviewer, recording):
    body = body_of(reviewer.get(f"/v1/sessions/{recording.session.id}/integrity"))
    return [finding["code"] for finding in body["findings"]]


def test_intact_recording_has_no_findings(reviewer, recording, worker):
    assert findings(reviewer, recording) == []
    worker.run_once()
    assert findings(reviewer, recording) == []
    assert FinalSeal.select().count() == 1


def test_every_manipulation_is_reported(clock, reviewer, recording, worker):
    reported, started = {}, clock.fixed
    for name, (manipulate, code) in MANIPULATIONS.items():
        with db.atomic() as undone:
            manipulated = Recording(recording.session)
            manipulate(manipulated)
            reported[name] = [code] if code in findings(reviewer, manipulated) else []
            worker.run_once()
            clock.fixed += timedelta(minutes=11)
            worker.run_once()
            reported[name] += [code] if code in findings(reviewer, manipulated) else []
            undone.rollback()
        clock.fixed = started
    assert reported == {name: [code, code] for name, (_, code) in MANIPULATIONS.items()}


def test_truncated_open_session_is_reported(clock, reviewer, assessment):
    session = make_session(make_key(assessment))
    for _ in range(5):
        add_event(session, envelope())
    Seal.seal_new()
    recording = Recording(session)
    assert findings(reviewer, recording) == []
    recording.delete_tail()
    assert findings(reviewer, recording) == ["tail_truncated"]
    add_event(session, envelope())
    Seal.seal_new()
    assert findings(reviewer, recording) == ["tail_truncated"]


@pytest.mark.parametrize("column", ["duration_ms", "tests_passed_count", "completed_at"])
def test_later_change_does_not_hide_a_manipulation(clock, reviewer, recording, column):
    expected = "metrics_changed" if column == "duration_ms" else "session_changed"
    recording.set(**{column: clock.now() if column == "completed_at" else 7})
    path = f"/v1/candidates/{recording.session.key_id}"
    assert body_of(reviewer.patch(path, {"hired": True}))["candidate"]["status"] == "hired"
    assert FinalSeal.newest(recording.session).reason == "hired"
    assert expected in findings(reviewer, recording)


def test_manipulated_metrics_of_an_erased_session_are_not_sealed(reviewer, recording, worker):
    body_of(reviewer.delete(f"/v1/candidates/{recording.session.key_id}/data"))
    assert findings(reviewer, recording) == ["erased"]
    recording.set(duration_ms=1, prompt_count=99, metrics_due=True)
    worker.run_once()
    assert findings(reviewer, recording) == ["erased", "metrics_changed"]


def test_clock_that_was_set_back_is_not_a_finding(clock, reviewer, assessment, worker):
    session = make_session(make_key(assessment))
    add_event(session, envelope())
    clock.fixed -= timedelta(minutes=30)
    sessions.complete(session)
    worker.run_once()
    assert findings(reviewer, Recording(session)) == []


@pytest.mark.parametrize("moves_final_seals", [False, True])
def test_deleted_session_is_reported(flask, recording, moves_final_seals):
    if moves_final_seals:
        FinalSeal.update(session=make_session(make_key(recording.session.key.assessment))).execute()
    for table in (FinalSeal, Seal, Event):
        table.delete().where(table.session == recording.session).execute()
    db.execute_sql("DELETE FROM signing_keys")
    recording.session.delete_instance()
    assert "0 final seals instead of 1" in flask("seals", "verify", fails=True)
