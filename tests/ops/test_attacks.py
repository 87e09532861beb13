"""Attacks that use the service's own actions, by someone with the database and the code, but without a ledger key.

Manipulations of single rows are in test_ledger.py and tests/blueprints/test_manipulations.py. What only an archived
checkpoint reveals is in test_checkpoints.py.
"""

from datetime import timedelta

import pytest
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_key,
    make_model_call,
    make_person,
    make_rubric,
    make_session,
    mark_hired,
)
from ledger_check import differences, numbered_entries, renumber
from signing import Signer

from errors import UnknownLedgerKey
from models import (
    ApiToken,
    Event,
    LedgerEntry,
    ModelUsage,
    Score,
    Session,
    SignIn,
    SigningKey,
    clock,
    db,
    ledger_keys,
    new_id,
    privacy,
    sessions,
)
from models.base import is_postgres
from models.ledger import epochs
from ops import ledger

pytestmark = pytest.mark.bypasses_ledger


@pytest.fixture
def session(clock, organization, reviewer, worker):
    """A closed session with a public key, a model call and a score."""
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    session = make_session(make_key(assessment), Signer().public_key)
    make_model_call(session, counts={"input": 10, "output": 20})
    sessions.complete(session)
    Score.submit(session, "quality", reviewer.row, value=1, comment="Good", evidence=[])
    worker.run_once()
    assert differences() == []
    return Session.get_by_id(session.id)


@pytest.fixture
def score(session):
    return Score.get(Score.session == session)


@pytest.fixture
def is_reported(worker):
    def is_reported(text):
        """Return whether a difference contains the text, before and after the worker has run."""
        before = differences()
        worker.run_once()
        return all(any(text in each for each in found) for found in (before, differences()))

    return is_reported


def stored(row):
    return type(row).select().where(type(row).id == row.id).dicts().get()


def set_columns(row, **values):
    type(row).update(**values).where(type(row).id == row.id).execute()


# The database stores or returns other rows


HIDE = "ALTER TABLE scores RENAME TO hidden"
ALTERATIONS = {
    "a view": (HIDE, "CREATE VIEW scores AS SELECT * FROM hidden"),
    "no primary key": (HIDE, "CREATE TABLE scores (id TEXT) {strict}"),
    "another primary key": (HIDE, "CREATE TABLE scores (id TEXT, number INTEGER PRIMARY KEY) {strict}"),
    "two columns": (HIDE, "CREATE TABLE scores (id TEXT, number INTEGER, PRIMARY KEY (id, number)) {strict}"),
}
SQLITE_ALTERATIONS = {"no types": (HIDE, "CREATE TABLE scores (id TEXT PRIMARY KEY)")}
POSTGRES_ALTERATIONS = {
    "a rule": ("CREATE RULE forge AS ON DELETE TO scores DO INSTEAD NOTHING",),
    "a policy": ("ALTER TABLE scores ENABLE ROW LEVEL SECURITY",),
    "a child table": ("CREATE TABLE more () INHERITS (scores)",),
}


def test_altered_tables_are_reported(app):
    assert ledger.altered_tables() == []
    strict, of_database = ("", POSTGRES_ALTERATIONS) if is_postgres() else ("STRICT", SQLITE_ALTERATIONS)
    unreported = []
    for name, statements in (ALTERATIONS | of_database).items():
        with db.atomic() as undone:
            for statement in statements:
                db.execute_sql(statement.format(strict=strict))
            if ledger.altered_tables() != ["scores"]:
                unreported.append(name)
            undone.rollback()
    assert unreported == []


SQLITE_TRIGGER = (
    "CREATE TRIGGER forge AFTER {event} ON {table}"
    " BEGIN UPDATE {table} SET {column} = {value} WHERE id = NEW.id; END",
)
POSTGRES_TRIGGER = (
    "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql"
    " AS $$ BEGIN NEW.{column} = {value}; RETURN NEW; END $$",
    "CREATE TRIGGER forge BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION forge()",
)


@pytest.mark.parametrize(
    ("event", "table", "column", "value"),
    [("INSERT", "scores", "value", 2), ("UPDATE", "sessions", "closed_by", "'limit'")],
    ids=["written column", "other column"],
)
def test_the_service_signs_no_values_from_a_trigger(reviewer, session, flask, event, table, column, value):
    for statement in POSTGRES_TRIGGER if is_postgres() else SQLITE_TRIGGER:
        db.execute_sql(statement.format(event=event, table=table, column=column, value=value))
    writes = {
        "scores": lambda: Score.submit(session, "quality", reviewer.row, value=1, comment="", evidence=[]),
        "sessions": lambda: mark_hired(session),
    }
    with pytest.raises(RuntimeError, match=f"The database changed {table}.{column}"):
        writes[table]()
    assert f"table {table}: altered" in flask("ledger", "verify", fails=True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
@pytest.mark.parametrize("table", [Score, ModelUsage])
def test_a_row_with_the_id_of_another_in_capital_letters_is_reported(session, table):
    name = table._meta.table_name
    columns = ", ".join(field.column_name for field in table._meta.sorted_fields if field.name != "id")
    db.execute_sql(f"INSERT INTO {name} (id, {columns}) SELECT upper(id), {columns} FROM {name}")
    assert table.select().count() == 2
    assert ledger.altered_tables() == [name]


# The candidate sends an event again


def test_an_event_that_is_deleted_and_sent_again_is_reported(clock, session, worker, is_reported):
    recording = make_session(make_key(session.assessment))
    event = envelope(data={"text": "Write everything."})
    add_event(recording, event)
    add_event(recording, envelope())
    clock.fixed += timedelta(minutes=1)
    worker.run_once()
    row = Event.select().where(Event.event_id == event["id"]).dicts().get()
    Event.delete().where(Event.seq == row["seq"]).execute()
    assert add_event(recording, event | {"data": {"text": "Explain this."}}) == "created"
    clock.fixed += timedelta(minutes=1)
    assert is_reported(f"session {recording.id}: event_changed")
    # The first event is put back.
    Event.delete().where(Event.event_id == event["id"]).execute()
    Event.insert(row).execute()
    assert is_reported(f"session {recording.id}: event_changed")


# An erasure signs a changed row


def test_an_erasure_does_not_cover_up_a_change(session, score, is_reported):
    """While the row is erased, its entry seems to be signed with an unknown key."""
    entry = LedgerEntry.newest("scores", score.id)
    set_columns(entry, key_id="other")
    set_columns(score, value=2)
    privacy.erase(session.key)
    set_columns(entry, key_id=entry.key_id)
    assert is_reported(f"scores {score.id}: changed")


def test_an_erasure_is_rejected_if_a_changed_row_has_an_entry_of_an_unknown_key(session, score):
    """The row contains its salt, so anyone can compute its hash."""
    set_columns(score, value=2)
    content_hash, _ = Score.stored_row(score.id).hashes(len(Score.protected))
    set_columns(LedgerEntry.newest("scores", score.id), key_id="other", content_hash=content_hash)
    with pytest.raises(UnknownLedgerKey):
        privacy.erase(session.key)


# A purge excuses deleted rows


def delete_after_a_purge(sign_in):
    SignIn.create(token=sign_in.token, method="email", fingerprint="expired", expires_at=clock.now())
    assert SignIn.delete_expired() == 1
    sign_in.delete_instance()


def purge_before_the_expiry(sign_in):
    set_columns(sign_in, expires_at=clock.now())
    assert SignIn.delete_expired() == 1


def put_back_after_the_purge(sign_in):
    row = stored(sign_in)
    clock.fixed = sign_in.expires_at
    assert SignIn.delete_expired() == 1
    SignIn.insert(row).execute()


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (delete_after_a_purge, "missing"),
        (purge_before_the_expiry, "missing"),
        (put_back_after_the_purge, "inserted"),
    ],
)
def test_a_purge_excuses_only_expired_sign_ins(clock, organization, worker, attack, reason):
    sign_in, _ = SignIn.start(ApiToken.for_sign_ins(make_person(organization)), "email")
    worker.run_once()
    attack(sign_in)
    assert f"sign_ins {sign_in.id}: {reason}." in differences()


# A restart makes earlier entries unverified


@pytest.mark.parametrize("is_numbered", [False, True], ids=["new", "before the restart"])
@pytest.mark.parametrize("kind", ["signing_keys", "erasure"])
def test_entries_of_a_lost_key_excuse_nothing_after_a_restart(
    organization, session, worker, is_reported, kind, is_numbered
):
    """A forged entry can be numbered before the restart, where entries are unverified."""
    (lost,) = ledger_keys.known()
    ledger_keys.use({"new": b"n" * 32})
    epochs.restart(organization, "The key is lost.")
    worker.run_once()
    assert differences() == []
    signing_key = SigningKey.get(SigningKey.session == session)
    newest = LedgerEntry.newest("signing_keys", signing_key.id)
    forged = {
        "id": new_id(),
        "kind": kind,
        "reason": "deleted",
        "version": newest.version + 1,
        "key_id": lost,
    }
    LedgerEntry.insert(stored(newest) | forged | {"position": None, "link": None}).execute()
    if is_numbered:
        first, *others = numbered_entries(organization)
        renumber([first, LedgerEntry.get_by_id(forged["id"]), *others])
    signing_key.delete_instance()
    assert is_reported(f"signing_keys {signing_key.id}: missing.")
