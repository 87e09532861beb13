"""Rows with an object in the bundle store."""

from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import AssessmentClosed
from models.base import ErasedWithSession, clock, db
from models.deliveries import outbox
from models.ledger.audit import WORKER, AuditEntry
from models.sessions import Session
from models.task_failures import run_each
from rules import session_close
from rules.timestamps import format_timestamp

UPLOAD_URL_LIFETIME = timedelta(hours=1)
# Clients submit right after the upload.
MAX_UNUSED_AGE = timedelta(hours=24)


class StoredObject(ErasedWithSession):
    """Mixin for session rows with an object in the bundle store.

    The row is created before the object: an object without a row would never be deleted. Subclasses
    have the columns `object_key` and `stored_bytes`.
    """

    @classmethod
    def counted_bytes(cls: Any) -> Any:
        """Return the bytes that count towards SESSION_MAX_BYTES."""
        return cls.stored_bytes

    @property
    def expires_at(self: Any) -> datetime:
        """Time when the upload URL expires."""
        return self.created_at + UPLOAD_URL_LIFETIME

    def delete_with_object(self: Any) -> None:
        """Delete the row and its object, including an object that arrives later."""
        with db.atomic():
            session = self.session.lock()
            self.remove_object()
            getattr(self, "delete_protected", self.delete_instance)()
            recount(session)

    def remove_object(self: Any) -> None:
        """Remove the object from the store, now and after the upload URL expires."""
        if self.object_key is not None:
            objects = [(self.object_key, self.expires_at)]
            outbox.enqueue_removals(self.session.organization_id, self.session_id, objects)

    @classmethod
    def erase_personal_data(cls: Any, key: Any, session: Session | None) -> int:
        """Delete the rows and their objects, including objects that arrive later."""
        if session is None:
            return 0
        rows = cls.select(cls.id, cls.session, cls.object_key, cls.created_at).where(cls.session == session)
        objects = [(row.object_key, row.expires_at) for row in rows if row.object_key is not None]
        outbox.enqueue_removals(session.organization_id, session.id, objects)
        erased = super().erase_personal_data(key, session)
        recount(session)
        return erased


def recount(session: Session) -> None:
    """Update the total size of a locked session's objects and uploads in progress."""
    tables: Any = StoredObject.__subclasses__()
    sizes = [
        table.select(peewee.fn.SUM(table.counted_bytes())).where(table.session == session).scalar()
        for table in tables
    ]
    session.update_columns(stored_bundle_bytes=sum(int(size or 0) for size in sizes))


def require_open(session: Session) -> None:
    """Raise AssessmentClosed more than ten minutes after the close (R18)."""
    now = clock.now()
    closed_at = session.closed_as_of(now)
    if closed_at is not None and session_close.intake_window(now, closed_at) != "flush":
        raise AssessmentClosed(completedAt=format_timestamp(session.completed_at or closed_at))


def delete_unused() -> int:
    """Delete open uploads and interrupted submissions a day after they expired."""
    before = clock.now() - UPLOAD_URL_LIFETIME - MAX_UNUSED_AGE
    tables: Any = StoredObject.__subclasses__()
    unused = [
        row
        for table in tables
        for row in table.unused().select(table, Session).join(Session).where(table.created_at <= before)
    ]
    return run_each("uploads", unused, _delete_unused)


def _delete_unused(row: Any) -> int:
    with db.atomic():
        row.delete_with_object()
        subject, organization_id = ("session", row.session_id), row.session.organization_id
        AuditEntry.record(organization_id, "removeUnusedUpload", WORKER, *subject, further_ids=[str(row.id)])
    return 1
