"""Malformed values are reported, and do not break requests or the checks of other sessions.

SQLite stores any value in any column. PostgreSQL stores any JSON, and years that Python does not have.
"""

from datetime import timedelta

import peewee
import pytest
from factories import add_event, envelope, make_closed_session, make_key, make_session
from signing import Signer

from models import Event, FinalSeal, Seal, Session, SigningKey, db, sessions
from models.base import BytesField, TimestampField
from models.database import is_postgres

# SQL values by column type, which are malformed on SQLite.
MALFORMED = (
    (TimestampField, ["'abc'", "'2026-04-01'", "CAST(x'ff' AS TEXT)", "9e999"]),
    (BytesField, ["1000000000000"]),
    (peewee.UUIDField, ["'abc'"]),
    (peewee.JSONField, ["'{'"]),
    (peewee.BooleanField, ["'abc'"]),
    (peewee.IntegerField, ["'abc'", "9e999"]),
    (peewee.TextField, ["x'ff'"]),
)
UNUSUAL = (
    (TimestampField, ["'infinity'", "'20000-01-01'", "'0044-03-15 BC'"]),
    (peewee.JSONField, ["'null'", "'[]'", "'{}'", f"'{'[' * 3000}{']' * 3000}'"]),
)
TEXTS = ["'{'", "'[1]'", """'{"id": "\\ud800", "ts": 1, "sig": "\\ud800"}'""", f"'{'[' * 3000}{']' * 3000}'"]
# Requests look up rows by these.
IDS = {"id", "session_id", "organization_id", "assessment_id", "key_id"}
# Not covered by seals.
UNSEALED = {"score_criteria", "integrity_codes"}
LISTS = ["results", "results/export", "cohort-stats"]
PATHS = ["integrity", "signed-log", "timeline", ""]


def values_for(field):
    if field.column_name in ("envelope", "content"):
        yield from TEXTS
    if not isinstance(field, peewee.AutoField):
        stored = field.rel_field if isinstance(field, peewee.ForeignKeyField) else field
        kinds = UNUSUAL if is_postgres() else MALFORMED
        yield from next((values for kind, values in kinds if isinstance(stored, kind)), [])


def write(table, session, column, value):
    """Write a value into the session's row, or into its first row in a different table."""
    if not is_postgres():
        db.execute_sql("PRAGMA defer_foreign_keys = ON")
    owner = table.id if table is Session else table.session
    (row, *_) = table.select().where(owner == session).order_by(table._meta.primary_key)
    key = table._meta.primary_key
    text = f"UPDATE {table._meta.table_name} SET {column} = {value} WHERE {key.column_name} = {db.param}"
    db.execute_sql(text, [key.db_value(getattr(row, key.name))])


@pytest.fixture
def three_sessions(clock, assessment, worker):
    """A session with a final seal, a session with a changed final seal, and an open session."""
    signer = Signer()
    session = make_session(make_key(assessment), signer.public_key)
    for second in range(3):
        add_event(session, signer.event(session, at=second))
    sessions.complete(session)
    other = make_closed_session(assessment, envelope())
    clock.fixed += timedelta(minutes=11)
    worker.run_once()
    FinalSeal.update(content="{}").where(FinalSeal.session == other).execute()
    return session, other, make_session(make_key(assessment))


def check(app, reviewer, worker, three_sessions, table, field, value):
    session, other, third = three_sessions
    column = field.column_name
    is_malformed = not is_postgres() and value not in TEXTS
    result = app.test_cli_runner().invoke(args=["seals", "verify"])
    assert result.exit_code == 1
    assert f"session {other.id}, final seal 1: not the one that the service signed" in result.output
    assert not is_malformed or f"{table._meta.table_name}.{column}: has a value" in result.output

    for path in ("candidates", *(f"assessments/{third.assessment_id}/{each}" for each in LISTS)):
        assert reviewer.get(f"/v1/{path}").status_code == 200, path
    for path in PATHS:
        response = reviewer.get(f"/v1/sessions/{session.id}/{path}".rstrip("/"))
        assert response.status_code == 200 or (response.status_code == 404 and column in IDS), path
        if path == "integrity" and column not in IDS:
            codes = {finding["code"] for finding in response.get_json()["findings"]}
            is_sealed = value in TEXTS and column not in UNSEALED
            assert "value_malformed" in codes if is_malformed else not is_sealed or codes

    add_event(third, envelope())
    worker.run_once()
    assert Session.get_by_id(third.id).sealed_count == 1


@pytest.mark.slow
@pytest.mark.parametrize("table", [Event, Seal, FinalSeal, Session, SigningKey])
def test_malformed_values_are_reported(app, reviewer, worker, three_sessions, table):
    for field in table._meta.sorted_fields:
        for value in values_for(field):
            with db.atomic() as transaction:
                write(table, three_sessions[0], field.column_name, value)
                check(app, reviewer, worker, three_sessions, table, field, value)
                transaction.rollback()
