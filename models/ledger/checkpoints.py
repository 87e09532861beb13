"""Checkpoints: a ledger's last entry, published so that a copy outside the database can reveal manipulations."""

import json
import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import peewee

from models.base import Model, clock, db
from models.database import lock_by_name
from models.feed import FeedEvent
from models.fields import BigIntegerField, TextField
from models.ledger import keys
from models.ledger.protection import LedgerEntry
from models.orgs import Organization
from models.sessions import Session
from models.task_failures import run_each
from rules.ledger.checkpoints import TYPE, ArchivedCheckpoint
from rules.ledger.entries import RESTORED
from rules.session_close import FLUSH_WINDOW
from rules.timestamps import format_timestamp

INTERVAL = timedelta(hours=1)
BATCH_SIZE = 500
LOST = "lost by a restore"

log = logging.getLogger("proofstone.ledger")


class Checkpoint(Model):
    """The position and link of an organization's last entry, and its number of sessions, at `created_at`."""

    personal_data = None
    organization = peewee.ForeignKeyField(Organization, index=False)
    position = BigIntegerField()
    head = TextField()
    sessions = peewee.IntegerField()

    class Meta:
        indexes = ((("organization", "position"), True),)

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "organizationId": str(self.organization_id),
            "position": self.position,
            "head": self.head,
            "sessions": self.sessions,
            "createdAt": format_timestamp(self.created_at),
        }


def of_session(session: Session) -> Checkpoint | None:
    """Return the checkpoint that covers a session's close, or None."""
    if session.checkpoint_position is None:
        return None
    is_first = (Checkpoint.organization == session.organization_id) & (
        Checkpoint.position == session.checkpoint_position
    )
    return Checkpoint.get_or_none(is_first)


def publish_due() -> int:
    """Publish a checkpoint hourly if something changed, and ten minutes after each close; return how many."""
    return run_each("checkpoints", Organization.select().order_by(Organization.id), _publish_due)


def _publish_due(organization: Organization) -> bool:
    # An entry that is not numbered yet could be that of the close.
    waiting = LedgerEntry.waiting().where(LedgerEntry.candidate_id == Session.key)
    closed = Session.select(Session.id).where(
        Session.organization == organization,
        Session.checkpoint_position.is_null(),
        Session.closed_at < clock.now() - FLUSH_WINDOW,
        ~Session.metrics_due,
        ~peewee.fn.EXISTS(waiting),
    )
    # Read before the last entry, which then covers their closes.
    closed_ids = [session.id for session in closed.limit(BATCH_SIZE)]
    last, newest = _last_entry_and_checkpoint(organization)
    is_changed = last is not None and (newest is None or newest.position < last.position)
    # A time in the future could have been inserted.
    is_due = is_changed and abs(clock.now() - (newest or organization).created_at) >= INTERVAL
    if not is_due and not closed_ids:
        return False
    with db.atomic():
        lock_by_name(f"checkpoints {organization.id}")
        last, newest = _last_entry_and_checkpoint(organization)
        if last is None:
            return False
        if newest is None or last.position > newest.position:
            newest = _publish(organization, last)
        Session.update(checkpoint_position=newest.position).where(Session.id.in_(closed_ids)).execute()
    return True


def _last_entry_and_checkpoint(organization: Organization) -> tuple[LedgerEntry | None, Checkpoint | None]:
    """Return the last numbered entry, and the newest checkpoint of an entry up to it.

    A checkpoint beyond it was inserted outside the service, or the entries were deleted.
    """
    last = LedgerEntry.last_numbered(organization.id)
    checkpoints = Checkpoint.select().where(
        Checkpoint.organization == organization, Checkpoint.position <= (last.position if last else 0)
    )
    return last, checkpoints.order_by(Checkpoint.position.desc()).first()


def _publish(organization: Organization, last: LedgerEntry) -> Checkpoint:
    checkpoint = Checkpoint(organization=organization, position=last.position, head=last.link.hex())
    checkpoint.sessions = Session.select().where(Session.organization == organization).count()
    data = checkpoint.payload
    # Logged before the commit, so that a crash cannot lose the line. The entries that it covers are committed.
    log.info("%s", json.dumps({"type": TYPE, "data": data}))
    checkpoint.save(force_insert=True)
    FeedEvent.publish(organization.id, TYPE, data)
    return checkpoint


def compare(archived: Iterable[ArchivedCheckpoint]) -> Iterator[tuple[ArchivedCheckpoint, str | None]]:
    """Yield each archived checkpoint with its difference from the ledger, or None."""
    for checkpoint in archived:
        yield checkpoint, _difference(checkpoint)


def _difference(checkpoint: ArchivedCheckpoint) -> str | None:
    is_owned = LedgerEntry.organization_id == checkpoint.organization_id
    entry = LedgerEntry.get_or_none(is_owned, LedgerEntry.position == checkpoint.position)
    if entry is not None and entry.link is not None and entry.link.hex() == checkpoint.head:
        return None
    epochs = LedgerEntry.keys_and_epochs(checkpoint.organization_id).where(LedgerEntry.reason == RESTORED)
    restores = [row for row in epochs if row.entry.is_signed(keys.known())]
    # The position is the signed one: anyone can number entries again.
    if any(
        row.created_at > checkpoint.time and row.entry.parsed_content.get("position", 0) < checkpoint.position
        for row in restores
    ):
        return LOST
    return "the entry is missing" if entry is None else "the entry differs"
