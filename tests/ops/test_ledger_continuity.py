"""Ledgers stay free of differences in legitimate use: changes, erasures, key rotations, restores and crashes."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_closed_session,
    make_key,
    make_person,
    make_session,
)
from ledger_check import differences
from response_checks import body_of, error_of

from errors import UnknownLedgerKey
from models import (
    ApiToken,
    Erasure,
    LedgerEntry,
    ReceivedEvent,
    Session,
    SignIn,
    Submission,
    TaskFailure,
    db,
    ledger_keys,
    sessions,
)
from models.ledger import checkpoints, numbering
from ops import admin, session_import
from rules.session_quota import Quota

NEW = {"new": b"n" * 32}
OTHER = {"other": b"o" * 32}
UNVERIFIED = "rows or entries cannot be verified: their key is not in LEDGER_KEYS."


def codes(reviewer, session):
    return [
        each["code"] for each in body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"]
    ]


@pytest.fixture
def closed(clock, assessment, worker):
    session = make_closed_session(
        assessment, envelope(), envelope("command", 5, {"command": "pytest", "exitCode": 0})
    )
    clock.fixed += timedelta(minutes=11)
    worker.run_once()
    return session


# Legitimate changes


def hire(reviewer, session):
    body_of(reviewer.patch(f"/v1/candidates/{session.key_id}", {"hired": True}))


def undo_hiring(reviewer, session):
    hire(reviewer, session)
    body_of(reviewer.patch(f"/v1/candidates/{session.key_id}", {"hired": False}))


def submit_tests(reviewer, session):
    body_of(reviewer.put(f"/v1/sessions/{session.id}/test-result", {"passed": 3, "failed": 0}))


def send_late_event(reviewer, session):
    caller = Caller.candidate(reviewer.client.application, session.key)
    assert body_of(caller.post("/v1/hooks/ingest", envelope("prompt", 99)), 201) == {"ok": True, "late": True}


def reject_event(reviewer, session):
    quota = Quota(max_bytes=0, max_events=0)
    event = envelope()
    assert sessions.append(session, ReceivedEvent.of(event, 0, json.dumps(event)), quota=quota) == ["full"]


def rederive(reviewer, session):
    # As an earlier version derived them.
    row = Session.get_by_id(session.id)
    row.record_change("rederived", prompt_count=9, derivation_version=0)
    assert admin.rederive(row)["promptCount"] == (9, 1)


def erase(reviewer, session):
    body_of(reviewer.delete(f"/v1/candidates/{session.key_id}/data"))


CHANGES = {
    hire: [], undo_hiring: [], submit_tests: [], send_late_event: [], reject_event: [], rederive: [],
    erase: ["erased"],
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_legitimate_change_causes_no_difference(clock, reviewer, closed, worker, change):
    change(reviewer, closed)
    assert (codes(reviewer, closed), differences()) == (CHANGES[change], [])
    worker.run_once()
    clock.fixed += timedelta(hours=2)
    worker.run_once()
    assert (codes(reviewer, closed), differences()) == (CHANGES[change], [])


def test_retention_and_expired_sign_ins_cause_no_difference(clock, organization, closed, worker):
    SignIn.start(ApiToken.for_sign_ins(make_person(organization)), "email")
    organization.update_columns(retention_days=30)
    clock.fixed += timedelta(days=60)
    worker.run_once()
    assert SignIn.select().count() == 0
    assert Erasure.select().count() == 1
    assert differences() == []


def test_deleting_an_interrupted_submission_causes_no_difference(clock, session, worker):
    Submission.reserve(session, "zip", "interrupted")
    worker.run_once()
    clock.fixed += timedelta(days=3)
    worker.run_once()
    assert Submission.select().count() == 0
    assert differences() == []


def test_imports_cause_no_difference(organization, reviewer, worker, tmp_path):
    (tmp_path / "recording.jsonl").write_text(json.dumps(envelope()) + "\n")
    session = session_import.Importer(organization).import_file(tmp_path / "recording.jsonl")
    worker.run_once()
    assert differences() == []
    assert (
        LedgerEntry.select()
        .where(LedgerEntry.kind == "events", LedgerEntry.candidate_id == session.key_id)
        .count()
        == 1
    )


# Several processes


DECISIONS = {5: "advanced", -10: "rejected"}


def test_clocks_can_differ_by_five_minutes(clock, reviewer, assessment, worker):
    """Processes take turns, each with its own clock."""
    session = make_session(make_key(assessment))
    for _ in range(3):
        for minutes in (5, -10, 5):
            clock.fixed += timedelta(minutes=minutes)
            add_event(session, envelope())
            body_of(
                reviewer.put(f"/v1/candidates/{session.key_id}/decision", {"decision": DECISIONS[minutes]})
            )
            worker.run_once()
            assert (codes(reviewer, session), differences()) == ([], [])


class Crash(BaseException):
    pass


def number_and_publish():
    numbering.number_new()
    checkpoints.publish_due()


def test_a_worker_can_be_killed_at_every_statement(clock, reviewer, assessment, monkeypatch):
    session = make_closed_session(assessment, envelope())
    hire(reviewer, session)
    clock.fixed += timedelta(minutes=11)
    execute, is_done, statement = type(db.obj).execute_sql, False, 0
    while not is_done:
        statement += 1
        remaining = statement

        def execute_or_crash(*arguments, **options):
            nonlocal remaining
            remaining -= 1
            if not remaining:
                raise Crash
            return execute(*arguments, **options)

        with db.atomic() as undone:
            with monkeypatch.context() as crash:
                crash.setattr(type(db.obj), "execute_sql", execute_or_crash)
                try:
                    number_and_publish()
                    is_done = True
                except Crash:
                    pass
            number_and_publish()
            assert differences() == [], statement
            assert LedgerEntry.waiting().count() == 0
            assert Session.get_by_id(session.id).checkpoint_position, statement
            undone.rollback()


# Keys


@pytest.fixture
def old():
    """The keys before a test changes them."""
    return dict(ledger_keys.known())


def use(worker, clock, keys):
    """Start the processes again with other keys."""
    ledger_keys.use(keys)
    clock.fixed += timedelta(minutes=1)
    worker.run_once()


def signers():
    return {row.key_id for row in LedgerEntry.select()}


def test_a_key_is_replaced_in_two_steps(clock, reviewer, closed, worker, old):
    use(worker, clock, old | NEW)
    hire(reviewer, closed)
    assert signers() == {"test"}
    use(worker, clock, NEW | old)
    submit_tests(reviewer, closed)
    worker.run_once()
    assert signers() == {"test", "new"}
    assert (codes(reviewer, closed), differences()) == ([], [])


def test_entries_of_a_new_key_wait_until_the_worker_introduces_it(clock, reviewer, closed, worker, old):
    ledger_keys.use(NEW | old)
    hire(reviewer, closed)
    assert differences() == []
    use(worker, clock, NEW | old)
    assert LedgerEntry.waiting().count() == 0
    assert (codes(reviewer, closed), differences()) == ([], [])


@pytest.mark.parametrize("missing", ["test", "new"])
def test_a_missing_key_makes_its_entries_unverified(clock, reviewer, closed, worker, old, missing):
    use(worker, clock, NEW | old)
    hire(reviewer, closed)
    worker.run_once()
    ledger_keys.use({key_id: secret for key_id, secret in (NEW | old).items() if key_id != missing})
    assert [
        text for text in differences() if not text.endswith(UNVERIFIED) and "seal_key_unknown" not in text
    ] == []
    assert set(codes(reviewer, closed)) == {"seal_key_unknown"}


def test_a_key_that_no_entry_introduced_is_tampering(clock, reviewer, closed, worker, old):
    ledger_keys.use(OTHER)
    with pytest.raises(UnknownLedgerKey):
        closed.record_change("changed", prompt_count=7)
    closed.record_again("changed")
    ledger_keys.use(old)
    assert f"sessions {closed.id}: changed." in differences()
    ledger_keys.use(old | OTHER)
    # Ids contain the time of the system's clock.
    clock.fixed = datetime.now(UTC) + timedelta(hours=2)
    assert [text for text in differences() if text.endswith("not numbered.")]


def test_changes_without_the_key_are_rejected(clock, reviewer, closed, worker, old):
    use(worker, clock, old)
    ledger_keys.use(NEW)
    path = f"/v1/candidates/{closed.key_id}"
    assert error_of(reviewer.patch(path, {"hired": True})) == (503, "unavailable")
    assert error_of(reviewer.delete(f"{path}/data")) == (503, "unavailable")
    body_of(reviewer.post("/v1/issues", {"title": "One", "taskBrief": "Two"}), 201)
    clock.fixed += timedelta(minutes=1)
    worker.run_once()
    tasks = {failure.task: failure.error for failure in TaskFailure.select()}
    assert tasks == dict.fromkeys(("introduce_keys", "number"), "UnknownLedgerKey")

    use(worker, clock, NEW | old)
    hire(reviewer, closed)
    worker.run_once()
    assert TaskFailure.select().count() == 0
    assert (codes(reviewer, closed), differences()) == ([], [])
    erase(reviewer, closed)
    assert (codes(reviewer, closed), differences()) == (["erased"], [])


# Epochs


@pytest.mark.bypasses_ledger
def test_after_a_restart_earlier_entries_are_unverified_and_later_changes_are_reported(
    clock, organization, reviewer, closed, worker, flask, old
):
    ledger_keys.use(NEW)
    flask("ledger", "restart", organization.id, "--reason", "The key is lost.")
    worker.run_once()
    count = LedgerEntry.select().where(LedgerEntry.key_id.in_([*old])).count()
    assert f"{count} entries from before the restart are unverified.\n" in flask("ledger", "verify")
    hire(reviewer, closed)
    worker.run_once()
    assert codes(reviewer, closed) == ["seal_key_unknown"]
    Session.update(prompt_count=7).where(Session.id == closed.id).execute()
    assert f"sessions {closed.id}: changed (prompt_count)." in differences()
    ledger_keys.use(NEW | old)
    assert differences() == [f"sessions {closed.id}: changed (prompt_count)."]


@pytest.mark.bypasses_ledger
def test_a_restart_replaces_entries_that_were_not_numbered(
    clock, organization, reviewer, closed, worker, flask
):
    hire(reviewer, closed)
    ledger_keys.use(NEW)
    worker.run_once()
    assert TaskFailure.counts()["number"] == 1
    flask("ledger", "restart", organization.id, "--reason", "The key is lost.")
    assert differences() == []
    worker.run_once()
    assert (differences(), TaskFailure.counts()) == ([], {})


def test_a_restart_accepts_the_rows_as_they_are(organization, closed, worker, flask):
    Session.update(prompt_count=7).where(Session.id == closed.id).execute()
    assert differences()
    flask("ledger", "restart", organization.id, "--reason", "Repaired by hand.")
    worker.run_once()
    assert differences() == []
