"""Altered databases: values that the service does not write, dropped constraints, and entries out of order."""

from datetime import timedelta
from functools import partial

import pytest
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_key,
    make_model_call,
    make_rubric,
    make_session,
)
from ledger_check import differences, numbered_entries, renumber
from signing import Signer

from models import (
    ApiToken,
    AuditEntry,
    Checkpoint,
    Event,
    LedgerEntry,
    ModelUsage,
    Organization,
    Score,
    Session,
    batches,
    db,
    ledger_keys,
    new_id,
    sessions,
    sql,
)
from models.base import is_postgres
from models.ledger import audit, checkpoints, epochs, integrity
from models.task_failures import TaskFailure
from ops import ledger
from rules import api_tokens
from rules.ledger.checkpoints import ArchivedCheckpoint

pytestmark = pytest.mark.bypasses_ledger

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
on_postgres = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, scope="session")


@pytest.fixture
def session(clock, organization, reviewer, worker):
    """A closed session with final metrics, a model call and a score."""
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    session = make_session(make_key(assessment), Signer().public_key)
    make_model_call(session, counts={"input": 10, "output": 20})
    for _ in range(2):
        add_event(session, envelope())
    sessions.complete(session)
    Score.submit(session, "quality", reviewer.row, value=1, comment="Good", evidence=[])
    record_access(session)
    clock.fixed += timedelta(hours=2)
    worker.run_once()
    assert differences() == []
    return Session.get_by_id(session.id)


def record_access(session):
    AuditEntry.record(session.organization_id, "getSession", audit.COMMAND, "session", session.id)


def codes(session):
    return [finding.code for finding in integrity.collect_findings(session)]


def rebuild(table, before, after):
    """Replace a part of a table's definition on SQLite."""
    ((text,),) = sql.rows("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name", name=table)
    assert before in text
    db.execute_sql(text.replace(before, after).replace(f"CREATE TABLE {table}", "CREATE TABLE rebuilt"))
    db.execute_sql(f"INSERT INTO rebuilt SELECT * FROM {table}")
    db.execute_sql(f"DROP TABLE {table}")
    db.execute_sql(f"ALTER TABLE rebuilt RENAME TO {table}")


# The service computes with changed values, and signs the result


def test_an_event_that_sql_does_not_count_is_reported(session, worker):
    """SQL does not select an event whose `late` is neither true nor false."""
    if is_postgres():
        db.execute_sql("ALTER TABLE events ALTER late DROP NOT NULL")
    else:
        rebuild("events", "late INTEGER CHECK (late IN (0, 1)) NOT NULL", "late INTEGER")
    row = Event.get(Event.session == session)
    Event.update(late=None).where(Event.seq == row.seq).execute()
    Session.update(metrics_due=True).where(Session.id == session.id).execute()
    worker.run_once()
    assert Session.get_by_id(session.id).event_count == session.event_count - 1
    assert "column_changed" in codes(session)
    assert f"session {session.id}: column_changed (1 events, first {row.event_id})." in differences()
    assert ledger.altered_tables() == ["events"]


def test_an_event_with_an_empty_channel_is_reported(clock, session, worker):
    """The client's event would not count, like one of a channel."""
    recording = make_session(make_key(session.assessment))
    for source in ({"channel": ""}, "cli"):
        add_event(recording, envelope(source=source))
    sessions.complete(recording)
    clock.fixed += timedelta(hours=2)
    row = Event.select().where(Event.session == recording).order_by(Event.seq).first()
    Event.update(channel="").where(Event.seq == row.seq).execute()
    assert "column_changed" in codes(recording)


def test_metrics_of_events_that_were_changed_back_are_reported(session, worker):
    """`metrics_due` is not protected, and must not prevent the check."""
    of_session = (Session.update(metrics_due=True).where(Session.id == session.id)).execute
    seq = Event.get(Event.session == session).seq
    Event.update(late=True).where(Event.seq == seq).execute()
    of_session()
    worker.run_once()
    Event.update(late=False).where(Event.seq == seq).execute()
    of_session()
    assert "metrics_changed" in codes(session)


# Values that the database compares in another way than the ledger


def add_shadow(organization):
    """Add the organization with its id in capital letters, with a token that no scope contains."""
    columns = ", ".join(field.column_name for field in Organization._meta.sorted_fields if field.name != "id")
    db.execute_sql(
        f"INSERT INTO organizations (id, {columns}) SELECT upper(id), {columns} FROM organizations"
    )
    plaintext = api_tokens.generate()
    columns = {"name": "Forged", "scope": "write", "last_four": "", "ledger_version": 1}
    ApiToken.insert(
        organization=organization, fingerprint=api_tokens.fingerprint(plaintext), **columns
    ).execute()
    db.execute_sql("UPDATE api_tokens SET organization_id = upper(organization_id) WHERE name = 'Forged'")
    return ApiToken.authenticate(plaintext)


@on_sqlite
def test_the_token_of_an_organization_in_capital_letters_is_reported(organization, session, flask):
    assert add_shadow(organization).organization_id == organization.id
    assert {"organizations", "api_tokens"} <= set(ledger.altered_tables())
    assert "table organizations: altered" in flask("ledger", "verify", fails=True)


RESPELLED = {
    # The search for a subject's entries does not find this one.
    "an id": ("audit_entries", "subject_id = upper(subject_id)"),
    # The time sorts after all times of its year.
    "a time": ("audit_entries", "created_at = '20260401T090000.000Z'"),
    "a call's id": ("model_usage", "id = upper(id)"),
}


@on_sqlite
@pytest.mark.parametrize(("table", "change"), RESPELLED.values(), ids=RESPELLED)
def test_respelled_values_are_reported(session, table, change):
    try:
        db.pragma("ignore_check_constraints", 1)
        db.execute_sql(f"UPDATE {table} SET {change}")
    finally:
        db.pragma("ignore_check_constraints", 0)
    assert ledger.altered_tables() == [table]


@on_sqlite
def test_a_number_with_other_digits_for_sql_is_reported(session):
    """Python reads 1_0 as 10, SQL as 1."""
    rebuild("model_usage", "cost_nano_usd INTEGER", "cost_nano_usd TEXT")
    db.execute_sql("UPDATE model_usage SET cost_nano_usd = '1_0'")
    assert ModelUsage.get().cost_nano_usd == 10
    assert ModelUsage.spent_nano_usd(session) == 1
    assert ledger.altered_tables() == ["model_usage"]


@on_postgres
def test_a_column_of_another_type_is_reported(session):
    db.execute_sql("ALTER TABLE model_usage ALTER cost_nano_usd TYPE numeric")
    assert ledger.altered_tables() == ["model_usage"]


@on_sqlite
@pytest.mark.parametrize("table", [ModelUsage, AuditEntry, LedgerEntry])
def test_a_malformed_id_does_not_end_the_verification(session, flask, table):
    """And not `/integrity`."""
    db.execute_sql("UPDATE scores SET value = 2")
    name = table._meta.table_name
    db.execute_sql(f"UPDATE {name} SET id = '{'z' * 32}' WHERE id = (SELECT MAX(id) FROM {name})")
    output = flask("ledger", "verify", fails=True)
    assert f"table {name}: altered" in output
    assert f"scores {Score.get().id}: changed (value)." in output
    assert "data_changed" in codes(session)


@on_sqlite
@pytest.mark.parametrize("column", ["actor_id", "subject_id"])
def test_a_malformed_reference_is_reported(session, column):
    db.execute_sql(f"UPDATE audit_entries SET {column} = '{'z' * 32}'")
    assert f"audit_entries {AuditEntry.get().id}: changed." in differences()


@pytest.mark.parametrize(
    ("table", "column", "definition"),
    [("ledger_entries", "kind", "kind TEXT NOT NULL"), ("events", "envelope", "envelope TEXT NOT NULL")],
)
def test_a_verification_continues_after_an_unreadable_row(
    session, neighbour, flask, table, column, definition
):
    if is_postgres():
        db.execute_sql(f"ALTER TABLE {table} ALTER {column} DROP NOT NULL")
    else:
        rebuild(table, definition, f"{column} TEXT")
    db.execute_sql(f"UPDATE {table} SET {column} = NULL")
    output = flask("ledger", "verify", fails=True)
    assert "Acme: not verified completely" in output
    assert f"table {table}: altered" in output


@on_postgres
def test_a_table_that_hides_another_one_is_reported(session):
    db.execute_sql("SET LOCAL allow_system_table_mods = on")
    db.execute_sql("CREATE VIEW pg_catalog.scores AS SELECT * FROM public.scores")
    assert ledger.altered_tables() == ["scores"]


# Entries and checkpoints


def test_a_second_entry_with_a_position_is_reported(organization, session, monkeypatch):
    """Also at the end of a batch. It could have the link of an archived checkpoint."""
    last = numbered_entries(organization)[-1]
    monkeypatch.setattr(batches, "read_all", partial(batches.read_all, max_rows=last.position))
    db.execute_sql("DROP INDEX ledgerentry_organization_id_position")
    values = LedgerEntry.select().where(LedgerEntry.id == last.id).dicts().get()
    forged = values | {"id": new_id(), "subject": new_id(), "kind": "forged"}
    LedgerEntry.insert(forged).execute()
    assert f"ledger_entries {forged['id']}: entry missing." in differences()


def test_a_rejected_entry_with_a_position_is_reported(session):
    """It would introduce no key: the worker would stop numbering entries."""
    epoch = LedgerEntry.get(LedgerEntry.kind == "epoch")
    LedgerEntry.update(is_rejected=True).where(LedgerEntry.id == epoch.id).execute()
    assert f"ledger_entries {epoch.id}: changed." in differences()


@pytest.mark.parametrize("task", ["ledger", "checkpoints"])
def test_a_false_failure_stops_a_task_for_at_most_15_minutes(clock, session, worker, task):
    """One row stops it for all organizations."""
    count = Checkpoint.select().count()
    record_access(session)
    clock.fixed += timedelta(hours=1)
    columns = {"task": task, "owner": "", "error": "", "attempts": 1}
    TaskFailure.create(**columns, retry_at=clock.fixed + timedelta(minutes=15))
    clock.fixed += timedelta(minutes=14)
    for _ in range(2):
        worker.run_once()
    assert Checkpoint.select().count() == count
    clock.fixed += timedelta(minutes=2)
    for _ in range(2):
        worker.run_once()
    assert Checkpoint.select().count() == count + 1


def test_a_restore_excuses_no_earlier_checkpoint_if_entries_are_numbered_again(clock, session, worker):
    *earlier, last = numbered_entries(session.organization)
    archived = ArchivedCheckpoint(session.organization_id, last.position, last.link.hex(), clock.now())
    clock.fixed += timedelta(hours=1)
    epochs.record_restore("Disk failure")
    worker.run_once()
    assert list(checkpoints.compare([archived])) == [(archived, None)]
    epoch = LedgerEntry.get(LedgerEntry.reason == "restored")
    last.delete_instance()
    renumber([earlier[0], epoch, *earlier[1:]])
    assert list(checkpoints.compare([archived])) == [(archived, "the entry differs")]


# No attack


def test_a_restart_replaces_the_lists_that_have_no_position(clock, organization, session, worker):
    """Until the restart, nothing that is signed with the new key is numbered."""
    ledger_keys.use({"new": b"n" * 32})
    record_access(session)
    make_model_call(session)
    worker.run_once()
    assert LedgerEntry.waiting().where(LedgerEntry.kind == "events").count() == 2
    epochs.restart(organization, "The key is lost.")
    clock.fixed += timedelta(hours=1)  # The failed task waits.
    worker.run_once()
    assert differences() == []
