"""Checkpoints: archived outside the database, they reveal what the ledger itself no longer shows."""

import json
import logging
from datetime import timedelta
from logging.handlers import BufferingHandler

import pytest
from factories import add_event, envelope, make_closed_session, make_webhook, mark_hired
from ledger_check import defer_foreign_keys, differences, numbered_entries, renumber
from response_checks import body_of

from models import Event, FeedEvent, LedgerEntry, Session, WebhookDelivery, clock, new_id
from models.ledger import checkpoints, epochs
from rules.ledger.checkpoints import ArchivedCheckpoint
from web.log_format import formatter


@pytest.fixture
def log_records(app):
    handler, logger = BufferingHandler(capacity=10_000), logging.getLogger("proofstone.ledger")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.buffer
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


@pytest.fixture
def session(clock, assessment, worker, organization, log_records):
    """A closed session with a checkpoint, in an organization with a webhook."""
    make_webhook(organization)
    session = make_closed_session(assessment, envelope(), envelope("command", 5))
    clock.fixed += timedelta(minutes=11)
    worker.run_once()
    worker.run_once()
    return Session.get_by_id(session.id)


@pytest.fixture
def verify(app):
    """Run `flask ledger verify`; returns its exit code and output."""

    def verify(*arguments):
        result = app.test_cli_runner().invoke(args=["ledger", "verify", *map(str, arguments)])
        return result.exit_code, result.output

    return verify


def positions():
    published = FeedEvent.select().where(FeedEvent.type == "ledger.checkpoint").order_by(FeedEvent.position)
    return [event.data["position"] for event in published]


def archived_checkpoint(entry):
    return ArchivedCheckpoint(entry.organization_id, entry.position, entry.link.hex(), clock.now())


def log_lines(log_format, records):
    lines = [formatter(log_format).format(record) for record in records]
    return ["Proofstone is running.", "{broken", *lines]


FORMATS = {
    "log in text": lambda records: log_lines("text", records),
    "log in JSON": lambda records: log_lines("json", records),
    "webhook bodies": lambda records: [
        row.body for row in WebhookDelivery.select().order_by(WebhookDelivery.id)
    ],
}


@pytest.fixture(params=FORMATS)
def archive(request, log_records, session, tmp_path):
    """Archive the checkpoints in one of the formats; returns the file."""

    def archive():
        file = tmp_path / "checkpoints"
        file.write_text("\n".join(FORMATS[request.param](log_records)))
        return file

    return archive


def test_checkpoints_of_an_unchanged_database_have_no_differences(archive, verify):
    assert verify("--checkpoints", archive()) == (
        0,
        "Checkpoints compared: 1.\nOrganizations verified: 1. No differences.\n",
    )


def test_checkpoints_remain_valid_after_later_changes(clock, reviewer, session, worker, archive, verify):
    file = archive()
    add_event(session, envelope("prompt", 100))
    body_of(reviewer.patch(f"/v1/candidates/{session.key_id}", {"hired": True}))
    clock.fixed += timedelta(hours=1)
    worker.run_once()
    assert verify("--checkpoints", file)[0] == 0


def test_only_a_checkpoint_reveals_that_newer_rows_and_entries_were_removed(
    clock, organization, reviewer, session, worker, archive, verify
):
    tables = (Session, type(session.key))
    copies = [(table, row) for table in tables for row in table.select().dicts()]
    last_seq = Event.select(Event.seq).order_by(Event.seq.desc()).scalar()
    last = LedgerEntry.select().order_by(LedgerEntry.position.desc()).get()
    mark_hired(session)
    add_event(session, envelope("prompt", 100))
    clock.fixed += timedelta(hours=1)
    worker.run_once()
    worker.run_once()
    newest = positions()[-1]
    file = archive()

    LedgerEntry.delete().where(LedgerEntry.position > last.position).execute()
    Event.delete().where(Event.seq > last_seq).execute()
    for table, row in copies:
        table.update(row).where(table.id == row["id"]).execute()
    assert body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"] == []
    assert verify()[0] == 0
    status, output = verify("--checkpoints", file)
    assert status == 1
    assert f"organization {organization.id}, checkpoint {newest}: the entry is missing" in output

    # Later entries take the removed positions.
    mark_hired(session, False)
    mark_hired(session)
    add_event(session, envelope("prompt", 100))
    for _ in range(5):
        add_event(session, envelope("prompt", 100))
        worker.run_once()
    assert verify()[0] == 0
    status, output = verify("--checkpoints", file)
    assert status == 1
    assert f"organization {organization.id}, checkpoint {newest}: the entry differs" in output


@pytest.mark.bypasses_ledger
def test_only_a_checkpoint_reveals_that_an_old_restart_was_moved_to_the_end(organization, session, worker):
    """After the last restart, the ledger no longer requires rows that only earlier entries have."""
    epochs.restart(organization, "The key was lost.")
    worker.run_once()
    rows = numbered_entries(organization)
    archived = archived_checkpoint(rows[-2])
    assert list(checkpoints.compare([archived])) == [(archived, None)]

    restart = next(row for row in rows if row.reason == "restarted" and row.kind == "epoch")
    rows.remove(restart)
    renumber([*rows, restart])
    Event.delete().execute()
    Session.update(listed_seq=0).execute()
    assert differences() == []
    assert list(checkpoints.compare([archived])) == [(archived, "the entry differs")]


@pytest.mark.bypasses_ledger
def test_a_deleted_organization_is_reported(organization, session, verify):
    """Even if a restore is forged, a checkpoint reveals that its entries were deleted, too."""
    defer_foreign_keys()
    organization.delete_instance()
    status, output = verify()
    assert (status, f"organization {organization.id}: missing" in output) == (1, True)

    last = numbered_entries(organization)[-1]
    archived = archived_checkpoint(last)
    LedgerEntry.delete().execute()
    forged = {"id": new_id(), "kind": "epoch", "reason": "restored", "position": None, "link": None}
    LedgerEntry.insert(last.__data__ | forged).execute()
    assert list(checkpoints.compare([archived])) == [(archived, "the entry is missing")]


def test_entries_lost_by_a_restore_are_not_manipulation(clock, flask, session, worker, archive, verify):
    last = LedgerEntry.select().order_by(LedgerEntry.position.desc()).get()
    before = Session.select().where(Session.id == session.id).dicts().get()
    session.record_change("rederived", prompt_count=9)
    clock.fixed += timedelta(hours=1)
    worker.run_once()
    worker.run_once()
    file = archive()
    LedgerEntry.delete().where(LedgerEntry.position > last.position).execute()
    Session.update(before).where(Session.id == session.id).execute()
    assert verify("--checkpoints", file)[0] == 1
    flask("ledger", "restored", "--reason", "The disk was lost.")
    worker.run_once()
    status, output = verify("--checkpoints", file)
    assert status == 0
    assert output.count("lost by a restore") == 1


def test_files_without_checkpoints_are_errors(session, verify, tmp_path):
    (tmp_path / "log").write_text("Nothing happened.\n{\n[1]\n" + json.dumps({"type": "ledger.checkpoint"}))
    status, output = verify("--checkpoints", tmp_path / "log")
    assert (status, "contains no checkpoints" in output) == (1, True)


def test_checkpoints_are_published_hourly_if_something_changed(clock, session, worker):
    published = positions()
    clock.fixed += timedelta(hours=2)
    worker.run_once()
    assert positions() == published
    mark_hired(session)
    worker.run_once()
    assert len(positions()) == len(published) + 1
    mark_hired(session, False)
    clock.fixed += timedelta(minutes=59)
    worker.run_once()
    assert len(positions()) == len(published) + 1
    clock.fixed += timedelta(minutes=1)
    worker.run_once()
    assert len(positions()) == len(published) + 2


def test_inserted_and_changed_checkpoints_do_not_prevent_later_ones(clock, organization, session, worker):
    checkpoints.Checkpoint.update(created_at=clock.now() + timedelta(days=30)).execute()
    inserted = {"organization": organization, "position": 2**53, "head": "", "sessions": 1}
    checkpoints.Checkpoint.insert(inserted | {"created_at": clock.now()}).execute()
    published = positions()
    mark_hired(session)
    clock.fixed += timedelta(hours=1)
    worker.run_once()
    worker.run_once()
    assert len(positions()) == len(published) + 1


def test_an_entry_with_an_unknown_key_does_not_prevent_checkpoints(clock, organization, assessment, worker):
    make_closed_session(assessment, envelope())
    worker.run_once()
    row = LedgerEntry.select().where(LedgerEntry.kind == "assessments").dicts().get()
    inserted = {"id": new_id(), "key_id": "other", "position": None, "link": None}
    LedgerEntry.insert(row | inserted).execute()
    clock.fixed += timedelta(minutes=11)
    worker.run_once()
    assert Session.get().checkpoint_position == positions()[-1]


def test_a_session_is_covered_by_a_checkpoint_after_its_metrics_are_final(
    clock, reviewer, assessment, worker
):
    worker.run_once()
    session = make_closed_session(assessment, envelope())
    path = f"/v1/sessions/{session.id}"
    clock.fixed += timedelta(minutes=10)
    worker.run_once()
    assert body_of(reviewer.get(path))["checkpoint"] is None
    clock.fixed += timedelta(milliseconds=1)
    worker.run_once()
    checkpoint = body_of(reviewer.get(path))["checkpoint"]
    closes = LedgerEntry.select(LedgerEntry.position).where(LedgerEntry.subject == session.id)
    assert checkpoint["position"] >= max(position for (position,) in closes.tuples())
    assert checkpoint["position"] == positions()[-1]
