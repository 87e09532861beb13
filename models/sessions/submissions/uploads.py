"""Open uploads (docs/candidate-client.md, 3.9 and 3.10)."""

from datetime import timedelta
from typing import Any

import peewee

from errors import SessionFull, UploadRejected
from models.base import Model, PersonalData, Query, clock, db
from models.sessions import Session, stored_bytes
from models.sessions.submissions.objects import StoredObject, recount, require_open

# A client that opens more uploads has finished or abandoned older ones. Snapshots of parallel processes overlap.
MAX_OPEN_UPLOADS = 3
MAX_RECENT_UPLOADS = 10
RECENT = timedelta(minutes=10)


class BundleUpload(Model, StoredObject):
    """An upload URL for a client's bundle. Many are never used.

    A submission copies the bundle to a key without an upload URL. Once the copy is verified, the upload's row is
    deleted. `stored_bytes` is 0 while it is unknown, because clients upload to S3 directly. `receiving_bytes` is the
    size of the requests in progress, which replace the stored bundle.
    """

    personal_data = PersonalData("uploads", "Uploads of your workspace.")

    session = peewee.ForeignKeyField(Session)
    object_key = peewee.TextField(unique=True)
    stored_bytes = peewee.BigIntegerField(default=0)
    receiving_bytes = peewee.BigIntegerField(default=0)

    class Meta:
        table_name = "uploads"

    @classmethod
    def counted_bytes(cls) -> Any:
        return cls.stored_bytes + cls.receiving_bytes

    @classmethod
    def unused(cls) -> Query:
        return cls.select()

    @classmethod
    def open(cls, session: Session, object_key: str, max_bytes: int) -> "BundleUpload":
        """Open an upload for an hour, and close the oldest ones: above MAX_OPEN_UPLOADS, or above MAX_RECENT_UPLOADS if
        they are RECENT and less than half of the session's space is used.

        Raises AssessmentClosed more than ten minutes after the close (R18), and SessionFull if no space is left.
        """
        with db.atomic():
            session = session.lock_unless_erased()
            require_open(session)
            has_space = stored_bytes(session) < max_bytes / 2
            newest_first = (
                cls.select().where(cls.session == session).order_by(cls.created_at.desc(), cls.id.desc())
            )
            for number, upload in enumerate(list(newest_first), 2):
                is_recent = has_space and abs(clock.now() - upload.created_at) < RECENT
                if number > (MAX_RECENT_UPLOADS if is_recent else MAX_OPEN_UPLOADS):
                    upload.delete_with_object()
            if not has_space and stored_bytes(Session.get_by_id(session.id)) >= max_bytes:
                raise SessionFull()
            return cls.create(session=session, object_key=object_key)

    @classmethod
    def find(cls, object_key: str) -> "BundleUpload":
        """Return the open upload with this key. Raises UploadRejected."""
        upload = cls.get_or_none(cls.object_key == object_key)
        if upload is None:
            raise UploadRejected()
        return upload

    def reserve_space(self, size: int, max_bytes: int) -> None:
        """Count a request's size while it arrives.

        Raises SessionFull if the session has no space for it, and UploadRejected if the upload was closed.
        """
        with db.atomic():
            session = self.session.lock()
            upload = BundleUpload.find(self.object_key)
            if stored_bytes(session) - upload.stored_bytes + size > max_bytes:
                raise SessionFull()
            upload.update_columns(receiving_bytes=upload.receiving_bytes + size)
            recount(session)

    def release_space(self, size: int) -> None:
        """Stop counting a request that failed."""
        with db.atomic():
            session = self.session.lock()
            left = BundleUpload.receiving_bytes - size
            BundleUpload.update(receiving_bytes=left).where(BundleUpload.id == self.id).execute()
            recount(session)

    def record_bundle(self, size: int, max_bytes: int) -> None:
        """Record the uploaded bundle's size. If the session has no space for it, close the upload.

        Raises SessionFull, and UploadRejected if the upload was closed while the bundle arrived.
        """
        with db.atomic():
            session = self.session.lock()
            upload = BundleUpload.find(self.object_key)
            upload.update_columns(stored_bytes=size, receiving_bytes=upload.receiving_bytes - size)
            recount(session)
            has_space = stored_bytes(session) <= max_bytes
            if not has_space:
                upload.delete_with_object()
        if not has_space:
            raise SessionFull()
