"""Number the ledger's entries, and list new events, model calls and audit entries in it.

An entry is inserted without a position, because its writer can't know the entries that other transactions insert. The
worker numbers committed entries, one worker per organization at a time.
"""

import logging
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import peewee

from errors import UnknownLedgerKey
from models import batches
from models.base import Query, Table, clock, db
from models.database import lock_by_name
from models.ledger import keys
from models.ledger.audit import AuditEntry
from models.ledger.protection import KEYS_AND_EPOCHS, LedgerEntry, Owner, append
from models.numbering import number_all, require_changes
from models.sessions import Event, Session
from models.sessions.model_usage import ModelUsage
from rules.ledger import entries
from rules.ledger.entries import EPOCH, EVENTS, KEY, RESTARTED, START

BATCH_SIZE = 500
LISTING_DELAY = timedelta(seconds=30)
# An event can commit after events with later arrival numbers, but rarely after so many.
SEARCH_MARGIN = 2_000
# The `ledger_entry_id` of a row that the service did not sign.
REJECTED = UUID(int=0)

log = logging.getLogger("proofstone.worker")


def number_new() -> int:
    """List new rows and number new entries; return the number of entries."""
    number_all("list_events", _sessions_with_new_rows(search_start()), list_session)
    waiting = AuditEntry.unlisted().select(AuditEntry.organization)
    number_all("list_audit", waiting, _list_audit)
    return number_all("number", LedgerEntry.waiting().select(LedgerEntry.organization_id), _number_batch)


def list_skipped() -> int:
    """List events that committed too late for `number_new`; reads all events."""
    return number_all("list_events", _sessions_with_new_rows(), list_session)


def introduce_keys() -> int:
    """Introduce configured keys in each organization's ledger, by an entry that an introduced key signs."""
    known = (
        LedgerEntry.select(LedgerEntry.organization_id)
        .where(KEYS_AND_EPOCHS, LedgerEntry.kind == EPOCH)
        .distinct()
    )
    return number_all("introduce_keys", known, _introduce_keys)


def _introduce_keys(organization_id: Any) -> int:
    with db.atomic():
        _lock(organization_id)
        if not keys.known().keys() <= (introduced := introduced_keys(organization_id, waiting=True)):
            signing, _ = keys.signing()
            if signing not in introduced:
                # The first key is new: an introduced one signs.
                signing = next((key_id for key_id in keys.known() if key_id in introduced), "")
                if not signing:
                    raise UnknownLedgerKey()
            for key_id in keys.known().keys() - introduced:
                append(Owner(organization_id), KEY, "introduced", content={"key": key_id}, signed_by=signing)
    return 0


def introduced_keys(organization_id: Any, waiting: bool = False) -> set[str]:
    """Return the ids of the keys that an organization's entries introduced."""
    rows = LedgerEntry.keys_and_epochs(organization_id)
    if not waiting:
        rows = rows.where(LedgerEntry.position.is_null(False))
    return {key_id for row in rows for key_id in entries.introduces(row.entry)}


def missing_keys() -> set[str]:
    """Return the ids of introduced keys that are not known, except those that a restart replaced."""
    introduced: dict[Any, set[str]] = {}
    rows = LedgerEntry.select().where(KEYS_AND_EPOCHS, LedgerEntry.position.is_null(False))
    for row in rows.order_by(LedgerEntry.organization_id, LedgerEntry.position):
        if row.reason == RESTARTED:
            introduced.pop(row.organization_id, None)
        introduced.setdefault(row.organization_id, set()).update(entries.introduces(row.entry))
    return set[str]().union(*introduced.values()) - keys.known().keys()


def warn_at_start() -> None:
    # The database might not exist yet.
    with suppress(peewee.PeeweeException), db.connection_context():
        if missing := sorted(missing_keys()):
            log.warning("Data is signed with missing keys: %s. Add them to LEDGER_KEYS.", ", ".join(missing))


def _lock(organization_id: Any) -> None:
    lock_by_name(f"ledger {organization_id}")


def _number_batch(organization_id: Any) -> int:
    """Number an organization's next entries. Raises UnknownLedgerKey if only entries with unknown keys are left."""
    with db.atomic():
        _lock(organization_id)
        last = LedgerEntry.last_numbered(organization_id)
        position, link = (last.position, last.link) if last else (0, START)
        introduced = introduced_keys(organization_id)
        waiting = LedgerEntry.waiting().where(LedgerEntry.organization_id == organization_id)
        # Keys first, because other entries need them.
        is_key = peewee.Case(None, [(LedgerEntry.kind.in_((KEY, EPOCH)), 0)], 1)
        # Entries with unknown keys must not displace others.
        is_known = LedgerEntry.key_id.in_([*keys.known()])
        has_unknown = waiting.where(~is_known).exists()
        linked, rejected = [], []
        for row in waiting.where(is_known).order_by(is_key, LedgerEntry.id).limit(BATCH_SIZE):
            entry = row.entry
            if not entry.is_signed(keys.known()):
                log.error("Ledger entry %s was inserted or altered outside the service.", row.id)
                rejected.append(row.id)
            elif not (entry.key_id in introduced or entry.kind == EPOCH):
                has_unknown = True
            else:
                introduced |= entries.introduces(entry)
                row.position = position = position + 1
                row.link = link = entries.next_link(link, position, entry.id, entry.signature)
                linked.append(row)
        if linked:
            columns = [LedgerEntry.position, LedgerEntry.link]
            changed_rows = LedgerEntry.bulk_update(linked, columns, batch_size=100)
            require_changes(LedgerEntry, changed_rows, len(linked))
        if rejected:
            changed_rows = LedgerEntry.update(is_rejected=True).where(LedgerEntry.id.in_(rejected)).execute()
            require_changes(LedgerEntry, changed_rows, len(rejected))
        if has_unknown and not linked and not rejected:
            raise UnknownLedgerKey()
    return len(linked) + len(rejected)


# Events and model calls


def search_start() -> int:
    last = Event.select(peewee.fn.MAX(Event.seq))
    listed = Session.select(peewee.fn.MAX(Session.listed_seq)).where(Session.listed_seq <= last).scalar()
    return (listed or 0) - SEARCH_MARGIN


def unlisted_events(after: int = 0) -> Query:
    """The events that no entry lists and whose arrival number is greater than `after`."""
    is_new = (Event.seq > after) & (Event.seq > Session.listed_seq)
    return Event.select().join(Session).where(is_new)


def _sessions_with_new_rows(after: int = 0) -> Query:
    """Select the sessions with rows to list; for open sessions, with rows older than LISTING_DELAY."""
    is_due = (Event.received_at < clock.now() - LISTING_DELAY) | Session.closed_at.is_null(False)
    events = unlisted_events(after).where(is_due).select(Event.session)
    calls = ModelUsage.unlisted().select(ModelUsage.session)
    return Session.select(Session.id).where(Session.id.in_(events) | Session.id.in_(calls))


def list_session(session_id: Any) -> int:
    """List a session's next events and model calls in an entry; return how many.

    A row whose MAC does not match is not listed.
    """
    with db.atomic():
        # Excludes writers of events, so no event with a lower number can follow.
        session = Session(id=session_id).lock()
        columns = [getattr(Event, name) for name in Event.SIGNED_COLUMNS]
        new = Event.select(Event.seq, *columns).where(
            Event.session == session_id, Event.seq > session.listed_seq
        )
        rows = batches.first_wide(new, [Event.seq], Event.size)
        events = []
        for row in rows:
            is_accepted = Event.is_accepted(row, session.key.key, keys.known())
            if is_accepted is None:
                raise UnknownLedgerKey()
            if not is_accepted:
                log.error("Event %s of session %s was not stored by the service.", row["seq"], session_id)
            else:
                events.append([row["event_id"], row["arrival_mac"]])
        if rows:
            session.update_columns(listed_seq=rows[-1]["seq"])
        calls = list(ModelUsage.unlisted().where(ModelUsage.session == session_id).limit(BATCH_SIZE))
        listed = _list_rows(calls)
        content = {"events": events, "calls": listed}
        if any(content.values()):
            entry_id = append(session.owner, EVENTS, "recorded", content=content)
            _mark(ModelUsage, calls, listed, entry_id)
    return len(rows) + len(calls)


def _list_audit(organization_id: Any) -> int:
    with db.atomic():
        _lock(organization_id)
        waiting = AuditEntry.unlisted().where(AuditEntry.organization == organization_id)
        rows = list(waiting.order_by(AuditEntry.id).limit(BATCH_SIZE))
        listed = _list_rows(rows)
        entry_id = REJECTED
        if listed:
            entry_id = append(Owner(organization_id), EVENTS, "audited", content={"audit": listed})
        _mark(AuditEntry, rows, listed, entry_id)
    return len(rows)


def _list_rows(rows: list[Any]) -> list[list[str]]:
    """Return the ids and MACs of the rows that the service signed."""
    listed = []
    for row in rows:
        is_accepted = row.is_accepted
        if is_accepted is None:
            raise UnknownLedgerKey()
        if not is_accepted:
            log.error("%s %s was inserted or altered outside the service.", type(row).__name__, row.id)
        else:
            listed.append([str(row.id), row.arrival_mac])
    return listed


def _mark(table: type[Table], rows: list[Any], listed: list[list[str]], entry_id: Any) -> None:
    """Store in which entry the rows are listed; rejected ones are in none."""
    accepted = {row_id for row_id, _ in listed}
    for value, is_accepted in ((entry_id, True), (REJECTED, False)):
        ids = [row.id for row in rows if (str(row.id) in accepted) == is_accepted]
        if ids:
            is_in = table.id.in_(ids)  # type: ignore[attr-defined]
            require_changes(table, table.update(ledger_entry_id=value).where(is_in).execute(), len(ids))
