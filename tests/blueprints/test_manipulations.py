"""Every change made directly in the database is reported, before and after the worker has run.

`flask ledger verify` reports all of them, and a session's `/integrity` those that belong to the session. What only an
archived checkpoint reveals is in tests/ops/test_checkpoints.py.
"""

import json
import uuid
from datetime import timedelta

import peewee
import pytest
from factories import (
    add_event,
    make_key,
    make_model_call,
    make_organization_rows,
    make_person,
    make_rubric,
    make_session,
)
from response_checks import body_of
from signing import Signer

from models import (
    ApiToken,
    CandidateKey,
    CompletedScoring,
    Consent,
    Erasure,
    Event,
    LedgerEntry,
    ModelUsage,
    Score,
    ScoreReveal,
    Session,
    SigningKey,
    Submission,
    SubmissionFile,
    clock,
    db,
    privacy,
    sessions,
)
from models.base import TimestampField
from models.ledger.protection import Owner, append

pytestmark = pytest.mark.bypasses_ledger
HOUR = timedelta(hours=1)


class Recording:
    """A closed session with five signed events, a model call, a score and a submission."""

    def __init__(self, session):
        self.session = Session.get_by_id(session.id)
        self.events = list(Event.select().where(Event.session == session).order_by(Event.seq))

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
        Event.insert(row).execute()

    def delete_event(self, number):
        Event.delete().where(Event.seq == self.events[number].seq).execute()

    def swap_events(self):
        self.set_event(1, envelope=self.events[3].envelope)
        self.set_event(3, envelope=self.events[1].envelope)

    def rewrite_event(self, number=2, **columns):
        changed = self.events[number].envelope.replace("number", "NUMBER")
        self.set_event(number, envelope=changed, **columns)

    def repeat_event(self):
        """Insert a copy of an event without its unique index."""
        db.execute_sql("DROP INDEX event_session_id_event_id")
        row = Event.select().where(Event.seq == self.events[2].seq).dicts().get()
        del row["seq"]
        Event.insert(row).execute()

    def entries(self, kind):
        return LedgerEntry.select().where(
            LedgerEntry.candidate_id == self.session.key_id, LedgerEntry.kind == kind
        )

    def unlist_event(self):
        """Delete an event, and remove it from the entry that lists it."""
        self.delete_event(1)
        entry = self.entries("events").get()
        content = json.loads(entry.content)
        del content["events"][1]
        LedgerEntry.update(content=json.dumps(content)).where(LedgerEntry.id == entry.id).execute()

    def delete_entries(self, kind):
        LedgerEntry.delete().where(LedgerEntry.id.in_(self.entries(kind))).execute()

    def fake_erasure(self):
        CandidateKey.update(erased_at=clock.now()).where(CandidateKey.id == self.session.key_id).execute()
        Event.delete().where(Event.session == self.session).execute()

    def insert_after_erasure(self):
        privacy.erase(self.session.key)
        row = Event(session=self.session, received_at=clock.now(), event_id="new", kind="note", envelope="{}")
        Event.insert(row.__data__ | {"time_ns": 0, "late": False, "size": 2, "arrival_mac": ""}).execute()

    def delete_receipt(self):
        privacy.erase(self.session.key)
        Erasure.delete().execute()

    def put_back_after_erasure(self, table):
        rows = list(table.select().where(table.session == self.session).dicts())
        privacy.erase(self.session.key)
        table.insert_many(rows).execute()

    def insert_file(self):
        row = SubmissionFile.of(self.session).dicts().get()
        SubmissionFile.insert(row | {"id": uuid.uuid4()}).execute()

    def store_files_of_an_unread_submission(self):
        for submission in Submission.select().where(Submission.session == self.session):
            submission.update_columns(files_sha256=None)

    def call(self):
        return ModelUsage.select().where(ModelUsage.session == self.session).get()

    def insert_call(self):
        row = ModelUsage.select().where(ModelUsage.session == self.session).dicts().get()
        ModelUsage.insert(row | {"id": uuid.uuid4(), "ledger_entry_id": None}).execute()


def column(name, value):
    return lambda r: r.set(**{name: value})


def event_column(name, value):
    return lambda r: r.set_event(2, **{name: value})


def row_of(table, **columns):
    return lambda r: table.update(**columns).where(table.session == r.session).execute()


EVENTS = {
    "an event is inserted": (lambda r: r.insert_event(arrival_mac="", late=True), "event_inserted"),
    "an event is inserted with a copied MAC": (lambda r: r.insert_event(late=True), "event_inserted"),
    "an event is inserted with an unknown key's MAC": (
        lambda r: r.insert_event(late=True, arrival_mac="other:00"),
        "event_inserted",
    ),
    "an event is inserted with MAC null": (lambda r: r.insert_event(late=True, arrival_mac=None), "event_inserted"),
    "an event's MAC is removed": (event_column("arrival_mac", None), "event_changed"),
    "an event is removed": (lambda r: r.delete_event(1), "event_missing"),
    "the last event is removed": (lambda r: r.delete_event(4), "event_missing"),
    "all events are removed": (lambda r: [r.delete_event(number) for number in range(5)], "event_missing"),
    "an event is removed from its entry": (Recording.unlist_event, "seal_broken"),
    "the entry that lists the events is deleted": (lambda r: r.delete_entries("events"), "seal_missing"),
    "an event is rewritten": (Recording.rewrite_event, "event_changed"),
    "an event is rewritten without a MAC": (lambda r: r.rewrite_event(arrival_mac=""), "event_changed"),
    "an event is rewritten with an unknown key's MAC": (
        lambda r: r.rewrite_event(arrival_mac="other:00"),
        "event_changed",
    ),
    "two events are swapped": (Recording.swap_events, "event_changed"),
    "an envelope is no longer JSON": (event_column("envelope", "nothing"), "event_changed"),
    "received_at is changed": (event_column("received_at", clock.now()), "event_changed"),
    "an event is inserted twice": (Recording.repeat_event, "event_inserted"),
    "an event is inserted after an erasure": (Recording.insert_after_erasure, "event_inserted"),
    "an erasure is faked": (Recording.fake_erasure, "event_missing"),
    **{
        f"{name} is changed": (event_column(name, value), "column_changed")
        for name, value in {
            "kind": "note", "time_ns": 1, "late": True, "source": "codex", "actor": "ai", "attribution": "likely_ai",
            "size": 1, "verdict": "invalid", "channel": "proxy",
        }.items()
    },
}  # fmt: skip
ROWS = {
    **{
        f"{name} is changed": (column(name, value), "metrics_changed")
        for name, value in {
            "duration_ms": 1, "prompt_count": 99, "command_fail_rate": 1, "verify_intensity": 1,
            "manual_edit_ratio": 1, "first_change_latency_ms": 1, "tests_passed": True, "event_count": 4,
            "derivation_version": 9, "further_metrics": {"tool_usage": {}, "tokens": {}}, "recorded_line_ratio": 5,
        }.items()
    },
    **{
        f"{name} is changed": (lambda r, name=name: r.set(**{name: clock.now() - HOUR}), "session_changed")
        for name in ("completed_at", "closed_at", "created_at", "hired_at", "closes_at")
    },
    "closed_by is changed": (column("closed_by", "limit"), "session_changed"),
    "test results are changed": (column("tests_passed_count", 12), "session_changed"),
    "rejected events are invented": (column("rejected_event_count", 3), "session_changed"),
    "the session is reopened": (
        lambda r: r.set(closed_at=None, closed_by=None, completed_at=None),
        "session_changed",
    ),
    "the session's version is changed": (column("ledger_version", 1), "session_changed"),
    "the session's salt is changed": (column("ledger_salt", b"salt"), "session_changed"),
    "the session's entries are deleted": (lambda r: r.delete_entries("sessions"), "session_changed"),
    "the session is moved to a different candidate": (
        lambda r: r.set(key=make_key(r.session.assessment)),
        "session_changed",
    ),
    "the candidate key is changed": (
        lambda r: CandidateKey.update(key="PST-0000").where(CandidateKey.id == r.session.key_id).execute(),
        "session_changed",
    ),
    "the hiring decision is changed": (
        lambda r: CandidateKey.update(decision="hired").where(CandidateKey.id == r.session.key_id).execute(),
        "session_changed",
    ),
    "extra time is invented": (
        lambda r: CandidateKey.update(extra_minutes=90).where(CandidateKey.id == r.session.key_id).execute(),
        "session_changed",
    ),
    "a receipt of an erasure is deleted": (Recording.delete_receipt, "session_changed"),
    "a public key is changed": (row_of(SigningKey, public_key="00"), "session_changed"),
    "a public key is inserted": (
        lambda r: SigningKey.insert(session=r.session, public_key="00").execute(),
        "session_changed",
    ),
    "a public key is deleted": (
        lambda r: SigningKey.delete().where(SigningKey.session == r.session).execute(),
        "session_changed",
    ),
    "the consent is changed": (lambda r: Consent.update(disclosure_version="9").execute(), "session_changed"),
    "the consent is deleted": (lambda r: Consent.delete().execute(), "session_changed"),
    "a score is raised": (row_of(Score, value=2), "data_changed"),
    "a comment is changed": (row_of(Score, comment="Better"), "data_changed"),
    "a withdrawal is undone": (row_of(Score, withdrawn_at=clock.now()), "data_changed"),
    "a score is deleted": (lambda r: Score.delete().where(Score.session == r.session).execute(), "data_changed"),
    "a completed scoring is deleted": (
        lambda r: CompletedScoring.delete().where(CompletedScoring.session == r.session).execute(),
        "data_changed",
    ),
    "a choice to see the scores is deleted": (
        lambda r: ScoreReveal.delete().where(ScoreReveal.session == r.session).execute(),
        "data_changed",
    ),
    "a score is marked as independent": (row_of(Score, independent=False), "data_changed"),
    "a submission's digest is changed": (row_of(Submission, sha256="0" * 64), "data_changed"),
    "a submission's size is changed": (row_of(Submission, size=1), "data_changed"),
    "a submission is deleted": (
        lambda r: Submission.delete().where(Submission.session == r.session).execute(),
        "data_changed",
    ),
    "an erased public key is put back": (lambda r: r.put_back_after_erasure(SigningKey), "session_changed"),
    "an erased submission is put back": (lambda r: r.put_back_after_erasure(Submission), "data_changed"),
    "a file of the final diff is inserted": (Recording.insert_file, "data_changed"),
    "a file of the final diff is changed": (row_of(SubmissionFile, diff="+two"), "data_changed"),
    "a file of the final diff is deleted": (
        lambda r: SubmissionFile.delete().where(SubmissionFile.session == r.session).execute(),
        "data_changed",
    ),
    "a submission that was not read has files": (Recording.store_files_of_an_unread_submission, "data_changed"),
    "a call's cost is changed": (row_of(ModelUsage, cost_nano_usd=1), "data_changed"),
    "a call's tokens are changed": (row_of(ModelUsage, output_tokens=1), "data_changed"),
    "a call is inserted": (Recording.insert_call, "data_changed"),
    "a call is deleted": (lambda r: r.call().delete_instance(), "data_changed"),
}  # fmt: skip


@pytest.fixture
def recording(clock, organization, assessment, worker):
    make_organization_rows(organization)
    assessment.update_columns(rubric=make_rubric(organization))
    signer = Signer()
    session = make_session(make_key(assessment), signer.public_key)
    for second in range(5):
        add_event(session, signer.event(session, at=second, data={"text": f"number {second}"}))
        clock.fixed += timedelta(seconds=1)
    make_model_call(session, counts={"input": 10, "output": 20}, is_recorded=True)
    submission = Submission.reserve(session, "zip", f"{session.id}/one")
    submission.record(10, "1" * 64, 2**20)
    counts = {"lines_added": 1, "lines_removed": 0, "counted_lines": 1, "not_recorded_lines": 0}
    file = {"path": "one.py", "status": "added", "is_binary": False, "is_truncated": False, "diff": "+one"}
    file |= {"is_too_large": False}
    *_, digest = SubmissionFile.store(session, [file | counts | {"not_recorded_ranges": []}])
    submission.update_columns(files_sha256=digest)
    sessions.complete(session)
    Score.submit(
        session,
        "quality",
        ApiToken.get(ApiToken.organization == organization),
        value=1,
        comment="Good",
        evidence=[],
    )
    person = make_person(organization, name="Eve")
    CompletedScoring.create(session=session, user=person)
    ScoreReveal.record(assessment, person, session)
    worker.run_once()
    clock.fixed += timedelta(minutes=11)
    worker.run_once()
    return Recording(session)


@pytest.fixture
def verify(app):
    def verify():
        result = app.test_cli_runner().invoke(args=["ledger", "verify"])
        assert result.exit_code == bool("No differences" not in result.output), result.output
        return result.output

    return verify


def findings(reviewer, recording):
    body = body_of(reviewer.get(f"/v1/sessions/{recording.session.id}/integrity"))
    return [finding["code"] for finding in body["findings"]]


def test_intact_recording_has_no_findings(reviewer, recording, worker, verify):
    assert findings(reviewer, recording) == []
    worker.run_once()
    assert (findings(reviewer, recording), verify()) == ([], "Organizations verified: 1. No differences.\n")


@pytest.mark.parametrize("manipulations", [EVENTS, ROWS], ids=["events", "rows"])
def test_every_manipulation_of_a_session_is_reported(
    clock, reviewer, recording, worker, verify, manipulations
):
    reported, started = {}, clock.fixed
    for name, (manipulate, code) in manipulations.items():
        with db.atomic() as undone:
            manipulate(Recording(recording.session))
            reported[name] = [code in findings(reviewer, recording), "No differences" not in verify()]
            worker.run_once()
            clock.fixed += timedelta(minutes=11)
            worker.run_once()
            reported[name] += [code in findings(reviewer, recording), "No differences" not in verify()]
            undone.rollback()
        clock.fixed = started
    assert reported == dict.fromkeys(manipulations, [True] * 4)


# The worker's next attempt, the bytes that count towards the quota, and the order of files.
UNPROTECTED = {Submission: {"attempts", "retry_at", "stored_bytes"}, SubmissionFile: {"created_at"}}


def other_value(field, value):
    match field:
        case peewee.BooleanField():
            return not value
        case peewee.IntegerField() | peewee.BigIntegerField():
            return (value or 0) + 1
        case TimestampField():
            return value + HOUR
        case peewee.JSONField():
            return [*(value or ()), "other"]
    return f"{value} changed"


@pytest.mark.parametrize("table", [Submission, SubmissionFile])
def test_every_changed_column_of_a_submission_is_reported(reviewer, recording, verify, table):
    fields = {field.name: field for field in table._meta.sorted_fields}
    reported, row = {}, table.get(table.session == recording.session)
    for name in fields.keys() - UNPROTECTED[table] - {"id", "session"}:
        with db.atomic() as undone:
            table.update({name: other_value(fields[name], getattr(row, name))}).where(
                table.id == row.id
            ).execute()
            reported[name] = [
                "data_changed" in findings(reviewer, recording),
                "No differences" not in verify(),
            ]
            undone.rollback()
    assert reported == {name: [True, True] for name in reported}


def test_erasing_a_candidate_is_not_a_manipulation(reviewer, recording, worker, verify):
    privacy.erase(recording.session.key)
    worker.run_once()
    assert (findings(reviewer, recording), verify()) == (
        ["erased"],
        "Organizations verified: 1. No differences.\n",
    )


def test_starting_does_not_cover_up_a_changed_invitation(assessment, verify):
    key = make_key(assessment)
    CandidateKey.update(extra_minutes=90).where(CandidateKey.id == key.id).execute()
    Consent.create(key=key)
    sessions.redeem(key.key)
    assert f"candidate_keys {key.id}: changed" in verify()


@pytest.mark.parametrize("kind", ["epoch", "purge"])
def test_removed_content_is_reported(organization, recording, verify, kind):
    append(Owner(organization.id), kind, "sign_ins", content={"count": 1})
    LedgerEntry.update(content=None).where(LedgerEntry.kind == kind).execute()
    assert "ledger_entries" in verify()


@pytest.mark.parametrize("kind", ["erasure", "scores"])
def test_forged_entries_do_not_excuse_deleted_rows(reviewer, recording, worker, verify, kind):
    """The forged entry has the id of a key that no entry introduced, and is dated in the future."""
    score = Score.get(Score.session == recording.session)
    ids = {"organization_id": recording.session.organization_id, "candidate_id": recording.session.key_id}
    forged = {
        "id": uuid.UUID(int=2**127),
        "kind": kind,
        "reason": "deleted",
        "key_id": "other",
        "signature": b"s" * 32,
    }
    hashes = {"content_hash": b"", "column_digests": b""}
    LedgerEntry.insert(ids | forged | hashes | {"subject": score.id, "version": 2}).execute()
    score.delete_instance()
    recording.delete_event(1)
    for _ in range(2):
        assert {"data_changed", "event_missing"} <= set(findings(reviewer, recording))
        assert f"scores {score.id}: missing" in verify()
        worker.run_once()


def test_rows_without_a_parent_are_reported(reviewer, recording, verify):
    other = make_session(make_key(recording.session.assessment))
    Score.update(session=other).where(Score.session == recording.session).execute()
    assert "data_changed" in findings(reviewer, recording)
    assert "scores" in verify()
