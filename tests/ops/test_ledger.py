"""`flask ledger verify`: protected rows, the audit log, and the ledger's own entries.

tests/blueprints/test_manipulations.py changes a session's events, and tests/ops/test_checkpoints.py compares archived
checkpoints.
"""

import uuid
from datetime import UTC, datetime, timedelta

import peewee
import pytest
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_key,
    make_model_call,
    make_organization_rows,
    make_person,
    make_rubric,
    make_run,
    make_session,
)
from ledger_check import defer_foreign_keys, differences, numbered_entries, renumber
from signing import Signer

from models import (
    Assignment,
    AuditEntry,
    CompletedScoring,
    LedgerEntry,
    ModelUsage,
    Organization,
    ProtectedModel,
    Rubric,
    RubricVersion,
    Score,
    ScoreReveal,
    Session,
    SigningKey,
    Submission,
    User,
    clock,
    db,
    invitations,
    new_id,
    privacy,
    sessions,
)
from models.base import TimestampField, is_postgres
from models.ledger import audit
from ops import ledger

CHANGED_AT = datetime(2026, 4, 2, tzinfo=UTC)
TABLES = {table.__name__: table for table in ProtectedModel.__subclasses__()}

# Unique columns of an organization, a rubric or a session.
UNIQUE_TOGETHER = {
    "address": User,
    "number": RubricVersion,
    "user": (CompletedScoring, ScoreReveal),
    "public_key": SigningKey,
}


def make_rows(organization, reviewer):
    """Add a row to each protected table; returns the organization's closed session."""
    make_organization_rows(organization, organization.name)
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    session = make_session(make_key(assessment), Signer().public_key)
    add_event(session, envelope())
    make_model_call(session)
    Submission.reserve(session, "zip", str(session.id)).record(10, "1" * 64, 2**20)
    make_run(session)
    sessions.complete(session)
    Score.submit(session, "quality", reviewer, value=1, comment="Good", evidence=[])
    eve = make_person(organization, name=f"Eve at {organization.name}")
    CompletedScoring.create(session=session, user=eve)
    Assignment.create(session=session, user=eve, assigned_by=reviewer)
    ScoreReveal.record(assessment, eve, session)
    invitations.decide(session.key, reviewer, "rejected", None)
    privacy.erase(make_session(make_key(assessment)).key)
    make_key(assessment)
    return session


@pytest.fixture
def session(clock, organization, reviewer, neighbour, worker):
    """A closed session of an organization and of a neighbor with rows in every protected table."""
    make_rows(neighbour.row.organization, neighbour.row)
    session = make_rows(organization, reviewer.row)
    Rubric.get(Rubric.organization == organization).apply_changes({"name": "Senior engineers"})
    worker.run_once()
    assert differences() == []
    return Session.get_by_id(session.id)


def row_of(table, session):
    """Return the table's newest row for the session, or for its organization."""
    rows = table.of_organization_id(session.organization_id)
    if table.session_link:
        column, of_session = table.session_link
        of_this = table.select().where(getattr(table, column) == getattr(session, of_session))
        rows = of_this if of_this.exists() else rows
    return rows.order_by(table.id.desc()).get()


def different_value(row, name):
    field, value = getattr(type(row), name), getattr(row, name)
    match field:
        case peewee.ForeignKeyField():
            others = field.rel_model.select(field.rel_field).where(field.rel_field != row.__data__[name])
            return others.order_by(field.rel_field.desc()).limit(1).scalar()
        case TimestampField():
            return clock.now() + timedelta(days=1)
        case peewee.BooleanField():
            return not value
        case peewee.UUIDField():
            return uuid.uuid4()
        case peewee.JSONField():
            return ["changed"]
        case peewee.TextField():
            return "changed"
    return (value or 0) + 1


def set_columns(row, **values):
    type(row).update(**values).where(type(row).id == row.id).execute()


def insert_copy(row):
    fields = type(row)._meta.sorted_fields
    unique = {field.name for field in fields if field.unique and not field.primary_key}
    unique |= {name for name, table in UNIQUE_TOGETHER.items() if isinstance(row, table)}
    values = row.__data__ | {name: different_value(row, name) for name in unique} | {"id": new_id()}
    type(row).insert(values).execute()
    return f"{row._meta.table_name} {values['id']}: inserted."


def delete(row):
    defer_foreign_keys()
    row.delete_instance()
    return f"{row._meta.table_name} {row.id}: missing."


def put_older_copy_back(row):
    older = type(row).select().where(type(row).id == row.id).dicts().get()
    row.record_change("changed", created_at=clock.now() + timedelta(hours=1))
    set_columns(row, **older)
    return f"{row._meta.table_name} {row.id}: changed (created_at)."


def change(column):
    def change_column(row):
        set_columns(row, **{column: different_value(row, column)})
        return f"{row._meta.table_name} {row.id}: changed ({column})."

    return change_column


@pytest.mark.parametrize("name", TABLES)
def test_every_manipulation_of_a_protected_row_is_reported(reviewer, session, name):
    table, unreported = TABLES[name], []
    manipulations = {column: change(column) for column in table.protected}
    manipulations |= {"inserted": insert_copy, "deleted": delete, "older copy": put_older_copy_back}
    for manipulation, manipulate in manipulations.items():
        with db.atomic() as undone:
            expected = manipulate(row_of(table, session))
            if expected not in differences():
                unreported.append(manipulation)
            response = reviewer.get(f"/v1/sessions/{session.id}/integrity")
            if table.session_link and response.status_code == 200 and not response.json["findings"]:
                unreported.append(f"{manipulation}, in /integrity")
            undone.rollback()
    assert unreported == []


# SQL values for SQLite and PostgreSQL that a column's constraints allow, but that Python cannot read, or cannot
# distinguish from the service's value.
UNREADABLE = (
    (TimestampField, "'9999-99-99T99:99:99.999Z'", "'infinity'"),
    (TimestampField, None, "COALESCE({column}, now()) + interval '1 microsecond'"),
    (peewee.UUIDField, f"'{'x' * 32}'", None),
    (peewee.JSONField, f"'{'[' * 999}{']' * 999}'", f"'{'[' * 3000}{']' * 3000}'"),
    (peewee.JSONField, "'null'", "'null'"),
)


def unreadable_values(field):
    stored = field.rel_field if isinstance(field, peewee.ForeignKeyField) else field
    values = [values[is_postgres()] for kind, *values in UNREADABLE if isinstance(stored, kind)]
    return [value.format(column=field.column_name) for value in values if value]


@pytest.mark.parametrize("name", TABLES)
def test_values_that_no_reader_understands_are_reported(reviewer, session, worker, name):
    table, unreported = TABLES[name], []
    fields = [getattr(table, column) for column in table.protected]
    for field, value in [(each, value) for each in fields for value in unreadable_values(each)]:
        with db.atomic() as undone:
            defer_foreign_keys()
            row = row_of(table, session)
            statement = (
                f"UPDATE {table._meta.table_name} SET {field.column_name} = {value} WHERE id = {db.param}"
            )
            db.execute_sql(statement, [table.id.db_value(row.id)])
            if not any(text.startswith(f"{table._meta.table_name} {row.id}: ") for text in differences()):
                unreported.append(f"{field.name} = {value}")
            status = reviewer.get(f"/v1/sessions/{session.id}/integrity").status_code
            if status not in (200, 401, 404):
                unreported.append(f"{field.name} = {value}: /integrity {status}")
            undone.rollback()
    assert unreported == []


@pytest.mark.bypasses_ledger
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
def test_text_that_is_not_utf8_is_reported(session):
    score = row_of(Score, session)
    db.execute_sql("UPDATE scores SET comment = CAST(x'ff' AS TEXT)")
    assert f"scores {score.id}: changed (comment)." in differences()


def test_rows_that_are_not_listed_within_an_hour_are_reported(clock, organization, assessment):
    """Until then, only their MACs protect them. An attacker can pause the worker's tasks."""
    session = make_session(make_key(assessment))
    event = envelope()
    add_event(session, event)
    make_model_call(session)
    AuditEntry.record(organization.id, "anything", audit.COMMAND)
    assert differences() == []
    backed_up_at = clock.now()
    # Ids contain the time of the system's clock.
    clock.fixed = max(clock.now(), datetime.now(UTC)) + timedelta(hours=2)
    reported = differences()
    for table, row, reason in (
        ("ledger_entries", LedgerEntry.get(LedgerEntry.subject == session.id), "not numbered"),
        ("model_usage", ModelUsage.get(), "entry missing"),
        ("audit_entries", audit_entry(), "entry missing"),
    ):
        assert f"{table} {row.id}: {reason}." in reported
    assert f"session {session.id}: seal_missing (1 events, first {event['id']})." in reported
    assert list(ledger.differences(organization, at=backed_up_at)) == []


# The audit log


def audit_entry(number=0):
    return (
        AuditEntry.select()
        .where(AuditEntry.action == "anything")
        .order_by(AuditEntry.id)
        .offset(number)
        .get()
    )


def copy_entry(**columns):
    row = AuditEntry.select().where(AuditEntry.id == audit_entry().id).dicts().get()
    AuditEntry.insert(row | {"id": new_id(), "ledger_entry_id": None} | columns).execute()


def swap_entries():
    first, second = audit_entry(), audit_entry(1)
    set_columns(first, action="other", created_at=second.created_at, arrival_mac=second.arrival_mac)


AUDIT_MANIPULATIONS = {
    **{
        f"{column} is changed": lambda column=column, value=value: set_columns(audit_entry(), **{column: value})
        for column, value in {
            "action": "nothing", "actor_kind": "worker", "actor_id": uuid.uuid4(), "actor_name": "Mallory",
            "subject_kind": "key", "subject_id": uuid.uuid4(), "further_ids": ["one"], "body_fields": ["title"],
            "came_from": "203.0.113.7", "request_id": "1", "arrival_mac": "", "created_at": CHANGED_AT,
        }.items()
    },
    "its key is renamed": lambda: set_columns(audit_entry(), action="nothing", arrival_mac=f"other:{'0' * 32}"),
    "an entry is inserted": lambda: copy_entry(arrival_mac=""),
    "an entry is copied": copy_entry,
    "two entries are swapped": swap_entries,
    "the first entry is deleted": lambda: audit_entry().delete_instance(),
    "the last entry is deleted": lambda: audit_entry(2).delete_instance(),
    "all entries are deleted": lambda: AuditEntry.delete().execute(),
    "an entry is not listed": lambda: set_columns(audit_entry(), ledger_entry_id=None),
    "an entry is listed elsewhere": lambda: set_columns(audit_entry(), ledger_entry_id=new_id()),
    "the list is deleted": lambda: LedgerEntry.delete().where(LedgerEntry.reason == "audited").execute(),
    "the list is emptied": lambda: LedgerEntry.update(content=None).where(LedgerEntry.reason == "audited").execute(),
}  # fmt: skip
# Before the ledger lists the entries, only their MACs protect them.
LISTS_ENTRIES = ("deleted", "not listed", "emptied")


@pytest.mark.parametrize("is_listed", [True, False], ids=["listed", "waiting"])
def test_manipulations_of_the_audit_log_are_reported(organization, clock, worker, is_listed):
    for _ in range(3):
        AuditEntry.record(organization.id, "anything", audit.COMMAND)
    if is_listed:
        worker.run_once()
    assert differences() == []
    unreported = []
    for name, manipulate in AUDIT_MANIPULATIONS.items():
        if is_listed or not name.endswith(LISTS_ENTRIES):
            with db.atomic() as undone:
                manipulate()
                before = differences()
                AuditEntry.record(organization.id, "later", audit.COMMAND)
                worker.run_once()
                if not (before and differences()):
                    unreported.append(name)
                undone.rollback()
    assert unreported == []


# The ledger


def acme_entries():
    return numbered_entries(Organization.get(Organization.name == "Acme"))


def entry(number):
    return acme_entries()[number]


def insert_entry(**columns):
    row = LedgerEntry.select().where(LedgerEntry.id == entry(-1).id).dicts().get()
    LedgerEntry.insert(row | {"id": new_id(), "position": None, "link": None} | columns).execute()


def swap_positions():
    first, second = entry(3), entry(4)
    set_columns(first, position=None)
    set_columns(second, position=first.position, link=first.link)
    set_columns(first, position=second.position, link=second.link)


def delete_and_renumber():
    entry(3).delete_instance()
    renumber(acme_entries())


LEDGER_MANIPULATIONS = {
    **{
        f"{column} is changed": lambda column=column, value=value: set_columns(entry(3), **{column: value})
        for column, value in {
            "kind": "purge", "subject": uuid.uuid4(), "version": 7, "reason": "deleted", "content": "{",
            "key_id": "other", "candidate_id": uuid.uuid4(), "content_hash": b"", "column_digests": b"",
            "signature": b"", "link": b"", "position": None, "organization_id": uuid.uuid4(),
        }.items()
    },
    "the first entry is deleted": lambda: entry(0).delete_instance(),
    "an entry is deleted": lambda: entry(3).delete_instance(),
    "an entry is deleted and the others renumbered": delete_and_renumber,
    "the last entry is deleted": lambda: entry(-1).delete_instance(),
    "all entries are deleted": lambda: LedgerEntry.delete().execute(),
    "two entries are swapped": swap_positions,
    "an entry is inserted": lambda: insert_entry(signature=b""),
    "an entry is copied": insert_entry,
    "an entry is inserted with an unknown key": lambda: insert_entry(key_id="other", content="{"),
    "a deletion is inserted": lambda: insert_entry(reason="deleted", version=2),
    "a purge is inserted": lambda: insert_entry(kind="purge", reason="sign_ins", content='{"count": 1}'),
    "an epoch is inserted": lambda: insert_entry(kind="epoch", reason="restarted", key_id="other"),
    "a key is introduced": lambda: insert_entry(kind="key", content='{"key": "other"}'),
}  # fmt: skip


def test_manipulations_of_the_ledger_are_reported(session, worker):
    unreported = []
    for name, manipulate in LEDGER_MANIPULATIONS.items():
        with db.atomic() as undone:
            manipulate()
            before = differences()
            worker.run_once()
            if not (before and differences()):
                unreported.append(name)
            undone.rollback()
    assert unreported == []
