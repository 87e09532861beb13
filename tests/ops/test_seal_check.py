"""`flask seals verify` and `flask audit verify`: manipulations and anchors."""

import json
import logging
from datetime import timedelta
from logging.handlers import BufferingHandler

import peewee
import pytest
from factories import add_event, envelope, make_closed_session, make_key, make_session, make_webhook
from response_checks import body_of

from models import (
    AuditChain,
    AuditEntry,
    CandidateKey,
    Erasure,
    Event,
    FeedEvent,
    FinalSeal,
    Seal,
    Session,
    TaskFailure,
    WebhookDelivery,
    clock,
    db,
    new_id,
    sessions,
)
from models.database import is_postgres
from models.ledger import audit, seal_keys
from rules.integrity import audit_chain
from rules.integrity.seal_keys import mac
from web.log_format import formatter


@pytest.fixture
def session(clock, assessment, worker, organization, log_records):
    """A sealed session, in an organization with a webhook and four audit entries."""
    make_webhook(organization)
    session = make_closed_session(assessment, envelope(), envelope("command", 5))
    for number in range(4):
        AuditEntry.record(organization.id, f"action {number}", audit.COMMAND)
    clock.fixed += timedelta(minutes=61)
    worker.run_once()
    worker.run_once()
    return Session.get_by_id(session.id)


@pytest.fixture
def run(app):
    def run(*arguments):
        result = app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
        return result.exit_code, result.output

    return run


def entries(organization):
    rows = AuditEntry.select().where(AuditEntry.organization == organization)
    return list(rows.order_by(AuditEntry.position))


def set_chain(organization, **columns):
    AuditChain.update(**columns).where(AuditChain.organization == organization).execute()


def delete_chain(organization):
    AuditChain.delete().where(AuditChain.organization == organization).execute()


def delete_tail(organization):
    """Delete the last entry, and reset the chain's count and head."""
    *_, before, last = entries(organization)
    last.delete_instance()
    set_chain(organization, count=before.position, head=before.hash)


def delete_log(organization):
    AuditEntry.delete().where(AuditEntry.organization == organization).execute()
    set_chain(organization, count=0, head=None)


def rechain_without_key(organization):
    head = audit_chain.initial_hash(str(organization.id))
    for entry in entries(organization):
        head = audit_chain.next_hash(head, entry.position, entry.hashed_columns())
        entry.update_columns(hash=head, key_id=None)
    set_chain(organization, head=head)


def insert_entry(organization):
    AuditEntry.record(organization.id, "forged", audit.COMMAND, position=5, hash=bytes(32))


def change_entry(index=1, **columns):
    return lambda organization: entries(organization)[index].update_columns(**columns)


AUDIT_MANIPULATIONS = {
    "an action is changed": (change_entry(action="nothing"), "row 2"),
    "an actor is changed": (change_entry(actor_name="Mallory"), "row 2"),
    "the fields are changed": (change_entry(body_fields=["title"]), "row 2"),
    "an address is changed": (change_entry(came_from="203.0.113.7"), "row 2"),
    "a hash is changed": (change_entry(hash=bytes(32)), "row 2"),
    "the first entry is deleted": (lambda org: entries(org)[0].delete_instance(), "row 1 "),
    "an entry is inserted": (insert_entry, "row 5 "),
    "the chain row is deleted": (delete_chain, "chain row missing"),
    "the tail is deleted": (lambda org: entries(org)[-1].delete_instance(), "row 4 (missing), missing"),
    "the tail is deleted and the count goes down": (delete_tail, "count or head not signed"),
    "the whole log is deleted": (delete_log, "count or head not signed"),
    "the head is replaced": (lambda org: set_chain(org, head=bytes(32)), "head"),
    "the count is lowered": (lambda org: set_chain(org, count=2), "head"),
    "the chain is recomputed without a key": (rechain_without_key, "count or head not signed"),
    "the MAC is removed": (lambda org: set_chain(org, key_id=None, mac=None), "count or head not signed"),
    "the key is renamed": (lambda org: set_chain(org, key_id="other"), "not verified: 1 records"),
    "an entry loses its key": (change_entry(2, key_id=None), "row 3"),
    "an entry is changed and its key renamed": (change_entry(action="x", key_id="other"), "row 2"),
    "the last entry is changed and its key renamed": (change_entry(3, action="x", key_id="other"), "row 4"),
}  # fmt: skip


@pytest.mark.usefixtures("session")
def test_manipulations_of_the_audit_log_are_reported(organization, run):
    assert run("audit", "verify") == (0, "Acme: 4 rows chained, 0 waiting\n")
    for name, (manipulate, message) in AUDIT_MANIPULATIONS.items():
        with db.atomic() as transaction:
            manipulate(organization)
            status, output = run("audit", "verify")
            transaction.rollback()
        assert (status, message in output) == (1, True), name


def copy_entry(entry):
    """Copy an entry with its MAC, but with a new id."""
    row = AuditEntry.select().where(AuditEntry.id == entry.id).dicts().get()
    AuditEntry.insert(row | {"id": new_id()}).execute()


WAITING_MANIPULATIONS = {
    "inserted": lambda entry: AuditEntry.insert(
        organization=entry.organization_id, action="forged", actor_kind="command"
    ).execute(),
    "copied": copy_entry,
    "changed": lambda entry: entry.update_columns(actor_name="Mallory"),
    "changed and its key renamed": lambda entry: entry.update_columns(action="x", recorded_key_id="other"),
    "changed and its MAC removed": lambda entry: entry.update_columns(
        action="x", recorded_key_id=None, recorded_mac=None
    ),
}


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("manipulation", WAITING_MANIPULATIONS)
def test_entries_forged_before_they_are_chained_are_reported(organization, worker, run, manipulation):
    AuditEntry.record(organization.id, "later", audit.COMMAND)
    WAITING_MANIPULATIONS[manipulation](AuditEntry.unchained().get())
    assert run("audit", "verify")[0] == 1
    AuditEntry.record(organization.id, "latest", audit.COMMAND)
    worker.run_once()
    assert AuditEntry.unchained().count() == 0
    status, output = run("audit", "verify")
    assert status == 1
    assert "1 entries inserted or altered outside the service" in output
    assert "first broken" not in output


@pytest.mark.usefixtures("session")
def test_new_entries_do_not_hide_a_deleted_tail(organization, worker, run):
    delete_tail(organization)
    AuditEntry.record(organization.id, "later", audit.COMMAND)
    worker.run_once()
    assert run("audit", "verify")[0] == 1


@pytest.mark.usefixtures("session")
def test_deleted_chain_rows_are_not_recreated(organization, run):
    delete_chain(organization)
    AuditEntry.record(organization.id, "later", audit.COMMAND)
    assert audit.chain_new() == 0
    assert TaskFailure.get().error == "ChainMissing"
    assert "chain row missing" in run("audit", "verify")[1]
    assert "its chain row is missing" in run("seals", "verify")[1]


def test_requests_succeed_without_the_chain_row(organization, reviewer, session):
    delete_chain(organization)
    body_of(reviewer.patch(f"/v1/candidates/{session.key_id}", {"hired": True}))
    assert FinalSeal.newest(session).reason == "hired"


def replace_final_seal(session):
    sessions.mark_hired(session, True)
    first = FinalSeal.of(session).first()
    first.key_id = None
    first.update_columns(key_id=None, mac=mac(None, *first.signed_fields))


SEAL_MANIPULATIONS = {
    "a final seal is deleted": (
        lambda session: FinalSeal.delete().execute(),
        "has 0 final seals instead of 1",
    ),
    "the number of final seals is lowered": (
        lambda session: set_chain(session.organization, final_seals=0),
        "has 1 final seals instead of 0",
    ),
    "the number of sealed events is lowered": (
        lambda session: set_chain(session.organization, sealed_events=0),
        "its sessions have 2 sealed events instead of 0",
    ),
    "a final seal is changed": (
        lambda session: FinalSeal.update(content="{}").execute(),
        "final seal 1: not the one that the service signed",
    ),
    "the key of a final seal is renamed": (
        lambda session: FinalSeal.update(key_id="other").execute(),
        "signed with an unknown key",
    ),
    "an earlier final seal is replaced": (
        replace_final_seal,
        "final seal 2: the seal before it was replaced",
    ),
    "a candidate is marked as erased": (
        lambda session: CandidateKey.update(erased_at=clock.now()).execute(),
        "is erased without a receipt",
    ),
    "a receipt of an erasure is inserted": (
        lambda session: Erasure.create(
            organization=session.organization, key=session.key, kind="reviewer", counts={}
        ),
        "has a receipt of an erasure, but is not erased",
    ),
    "the session's count is changed": (
        lambda session: session.update_columns(sealed_count=1),
        "record of its event seal is not the one",
    ),
}


def test_manipulations_of_final_seals_are_reported(session, run):
    assert run("seals", "verify") == (0, "No differences.\n")
    for name, (manipulate, message) in SEAL_MANIPULATIONS.items():
        with db.atomic() as transaction:
            manipulate(Session.get_by_id(session.id))
            status, output = run("seals", "verify")
            transaction.rollback()
        assert (status, message in output) == (1, True), name


def test_restored_rows_of_an_open_session_are_reported(
    clock, assessment, organization, reviewer, worker, run, tmp_path
):
    # The restored rows are authentic, but the organization's number of sealed events only grows.
    session = make_session(make_key(assessment))
    add_event(session, envelope())
    worker.run_once()
    earlier = Session.select().where(Session.id == session.id).dicts().get()
    earlier_chain = AuditChain.select().where(AuditChain.organization == organization).dicts().get()
    add_event(session, envelope())
    worker.run_once()
    seq = Event.select(peewee.fn.MAX(Event.seq)).scalar()
    Seal.delete().where(Seal.event_seq == seq).execute()
    Event.delete().where(Event.seq == seq).execute()
    Session.update(earlier).where(Session.id == session.id).execute()
    assert body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"] == []
    name = f"organization {organization.id}"
    assert run("seals", "verify") == (1, f"{name}: its sessions have 1 sealed events instead of 2.\n")
    add_event(session, envelope())
    worker.run_once()
    assert run("seals", "verify") == (1, f"{name}: its sessions have 2 sealed events instead of 3.\n")

    # If the organization's row is restored too, only an anchor reveals it.
    clock.fixed += timedelta(hours=1)
    worker.run_once()
    anchor = FeedEvent.get(FeedEvent.type == "audit.sealed")
    (tmp_path / "anchors").write_text(json.dumps({"type": anchor.type, "data": anchor.data}))
    Seal.delete().where(Seal.position > 1).execute()
    Event.delete().where(Event.seq > seq).execute()
    Session.update(earlier).where(Session.id == session.id).execute()
    set_chain(**earlier_chain)
    assert run("seals", "verify")[0] == 0
    status, output = run("seals", "verify", "--anchors", tmp_path / "anchors")
    assert status == 1
    assert "the count went down to 0 rows, 1 sealed events and 0 final seals" in output


@pytest.mark.parametrize("session_id", ["CAST(session_id AS BLOB)", "upper(session_id)"])
def test_copied_events_without_a_session_are_reported(session, run, session_id):
    if is_postgres():
        pytest.skip("PostgreSQL checks the column's type.")
    names = ", ".join(field.column_name for field in Event._meta.sorted_fields[2:])
    db.execute_sql("PRAGMA defer_foreign_keys = ON")
    db.execute_sql(
        f"INSERT INTO events (session_id, {names}) SELECT {session_id}, {names} FROM events LIMIT 1"
    )
    status, output = run("seals", "verify")
    assert status == 1
    assert "events.session_id: has a value that the service never writes" in output


# Anchors


@pytest.fixture
def log_records(app):
    handler, logger = BufferingHandler(capacity=10_000), logging.getLogger("proofstone.anchors")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.buffer
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


def log_lines(log_format, records):
    lines = [formatter(log_format).format(record) for record in records]
    return ["Proofstone is running.", "{broken", *lines]


FORMATS = {
    "log in text": lambda records: log_lines("text", records),
    "log in JSON": lambda records: log_lines("json", records),
    "webhook bodies": lambda records: [row.body for row in WebhookDelivery.select()],
}


@pytest.fixture(params=FORMATS)
def anchors(request, log_records, session, tmp_path):
    """Write the anchors in one of the formats; returns the file."""

    def write():
        file = tmp_path / "anchors"
        file.write_text("\n".join(FORMATS[request.param](log_records)))
        return file

    return write


def test_anchors_of_an_unchanged_database_have_no_differences(anchors, run):
    assert run("seals", "verify", "--anchors", anchors()) == (0, "Compared 2 anchors.\nNo differences.\n")


def test_anchors_remain_valid_after_later_changes(
    clock, organization, reviewer, session, worker, anchors, run
):
    file = anchors()
    add_event(session, envelope("prompt", 100))
    body_of(reviewer.patch(f"/v1/candidates/{session.key_id}", {"hired": True}))
    clock.fixed += timedelta(hours=1)
    worker.run_once()
    assert run("seals", "verify", "--anchors", file)[0] == 0


def test_only_anchors_reveal_a_restored_copy(clock, organization, reviewer, session, worker, anchors, run):
    tables = (Session, AuditChain)
    copies = [(table, row) for table in tables for row in table.select().dicts()]
    last = entries(organization)[-1].position
    body_of(reviewer.patch(f"/v1/candidates/{session.key_id}", {"hired": True}))
    clock.fixed += timedelta(hours=1)
    worker.run_once()
    worker.run_once()
    file = anchors()

    FinalSeal.delete().where(FinalSeal.number == 2).execute()
    AuditEntry.delete().where(AuditEntry.position > last).execute()
    for table, row in copies:
        table.update(row).where(table.id == row["id"]).execute()
    assert body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"] == []
    assert run("seals", "verify")[0] == run("audit", "verify")[0] == 0
    status, output = run("seals", "verify", "--anchors", file)
    assert status == 1
    assert f"session {session.id}, final seal 2: the seal is missing." in output
    assert f"organization {organization.id}, audit row 5: the count went down to 4 rows" in output


def test_only_anchors_reveal_that_all_keys_were_removed(
    organization, reviewer, session, worker, anchors, run
):
    file = anchors()
    Event.update(arrival_mac=None).execute()
    FinalSeal.delete().execute()
    Seal.delete().execute()
    columns = {"seal_key_id": None, "seal_mac": None, "final_seal_mac": None, "final_seal_count": 0}
    Session.update(sealed_count=0, seal_head=None, **columns).execute()
    rechain_without_key(organization)
    AuditEntry.update(recorded_key_id=None, recorded_mac=None).execute()
    AuditChain.update(key_id=None, mac=None, final_seals=0, sealed_events=0).execute()
    event = Event.get(Event.kind == "prompt")
    text = json.dumps(json.loads(event.envelope) | {"data": {"text": "Something else"}})
    Event.update(envelope=text, size=len(text)).where(Event.seq == event.seq).execute()
    with_keys = seal_keys.known()
    worker.run_once()

    assert seal_keys.known() is with_keys
    assert body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"] == []
    assert run("seals", "verify")[0] == run("audit", "verify")[0] == 0
    status, output = run("seals", "verify", "--anchors", file)
    assert status == 1
    assert f"session {session.id}, final seal 1: the seal differs." in output
    assert f"organization {organization.id}, audit row 4: the row has a different hash." in output


@pytest.mark.parametrize("type", ["session.sealed", "audit.sealed"])
@pytest.mark.parametrize(
    "values",
    [{"count": 1}, {"number": 10**30, "finalSeals": 10**30}, {"sessionId": "x", "head": "x"}, {"mac": 1}],
)
def test_forged_anchors_in_the_feed_are_not_logged(organization, session, worker, log_records, type, values):
    anchor = FeedEvent.get(FeedEvent.type == type)
    before = len(log_records)
    FeedEvent.create(organization=organization, type=type, data=anchor.data | values)
    worker.run_once()
    (record,) = log_records[before:]
    assert record.levelname == "WARNING"
    assert "is not an anchor that the service signed" in record.getMessage()


def test_files_without_anchors_are_errors(session, run, tmp_path):
    (tmp_path / "log").write_text("Nothing happened.\n{\n[1]\n" + json.dumps({"type": "session.sealed"}))
    assert run("seals", "verify", "--anchors", tmp_path / "log")[0] == 1


def test_changed_audit_heads_are_published_hourly(clock, organization, session, worker):
    def heads(name="count"):
        return [event.data[name] for event in FeedEvent.select().where(FeedEvent.type == "audit.sealed")]

    assert heads() == [4]
    clock.fixed += timedelta(hours=2)
    worker.run_once()
    assert heads() == [4]
    AuditEntry.record(organization.id, "later", audit.COMMAND)
    worker.run_once()
    assert heads() == [4, 5]
    AuditEntry.record(organization.id, "later", audit.COMMAND)
    clock.fixed += timedelta(minutes=59)
    worker.run_once()
    assert heads() == [4, 5]
    clock.fixed += timedelta(minutes=1)
    worker.run_once()
    assert heads() == [4, 5, 6]
    add_event(session, envelope())
    for _ in range(3):
        clock.fixed += timedelta(hours=1)
        worker.run_once()
    assert heads() == [4, 5, 6, 6]
    assert sorted(heads("sealedEvents")) == [2, 2, 2, 3]
