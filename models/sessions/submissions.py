"""Client reports, bundle uploads and submissions of candidates (docs/candidate-client.md, 3.6 to 3.11)."""

from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import AssessmentClosed, SessionClosed, SessionFull, UploadRefused
from models.base import ErasedWithSession, Model, PersonalData, Query, TimestampField, clock, db
from models.deliveries import outbox
from models.keys import CandidateKey
from models.ledger.audit import WORKER, AuditEntry
from models.sessions import Session, stored_bytes
from models.task_failures import run_each
from rules import session_close
from rules.timestamps import format_timestamp

# Enough for a client that uploads several bundles concurrently: by then it has finished or abandoned the oldest.
MAX_OPEN_UPLOADS = 3
UPLOAD_URL_LIFETIME = timedelta(hours=1)
# A client submits right after the upload; an upload without a submission by then will never have one.
MAX_UNUSED_UPLOAD_AGE = timedelta(hours=24)


# Reports and facts do not count towards SESSION_MAX_BYTES.
MAX_FACT_CHARACTERS = 2048
MAX_REPORTS = 100  # of each kind
MAX_OTHER_SUBMISSIONS = 100  # those that do not count


class ClientReport(Model, ErasedWithSession):
    """A client's report about its machine or workspace, as received.

    `kind` is `workspace_commit`, `device_start`, `device_done` or `hosted_boot`.
    """

    personal_data = PersonalData(
        "clientReports", "Reports of your client about your computer and your workspace."
    )

    session = peewee.ForeignKeyField(Session)
    kind = peewee.TextField()
    data = peewee.JSONField()

    @classmethod
    def record(cls, session: Session, kind: str, data: dict[str, Any]) -> None:
        """Store a report, unless the session has MAX_REPORTS of this kind.

        Raises SessionClosed more than 24 hours after the close, as for events (R4, R18).
        """
        now = clock.now()
        with db.atomic():
            session = session.lock_unless_erased()
            if session_close.intake_window(now, session.closed_as_of(now)) == "over":
                raise SessionClosed()
            if cls.select().where(cls.session == session, cls.kind == kind).count() < MAX_REPORTS:
                cls.create(session=session, kind=kind, data=data)


class BundleUpload(Model, ErasedWithSession):
    """An open upload for one bundle, a copy of an uploaded bundle, or a hand-in.

    Each request opens an upload; many are never used. A submission copies the bundle to a key that no URL accepts, and
    verifies the copy. Then the upload is closed: its row is deleted. A copy has the key of its upload as `source_key`,
    a hand-in its own. `size` is None while it is unknown, because clients upload to S3 directly. That of a verified
    copy includes the diff and the file names of its submission, so that they count towards the session's quota.
    """

    personal_data = PersonalData("uploads", "Uploads of your workspace.")

    session = peewee.ForeignKeyField(Session)
    object_key = peewee.TextField(unique=True)
    expires_at = TimestampField()
    source_key = peewee.TextField(null=True)
    size = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "uploads"

    @classmethod
    def open_uploads(cls) -> Query:
        """The rows that are no copies."""
        return cls.select().where(cls.source_key.is_null())

    @classmethod
    def open(cls, session: Session, object_key: str, max_bytes: int) -> "BundleUpload":
        """Open an upload for an hour, and close the oldest ones so that at most MAX_OPEN_UPLOADS are open.

        Raises AssessmentClosed if the session takes no more bundles (R18), and SessionFull if it has no byte left.
        """
        now = clock.now()
        with db.atomic():
            session = session.lock_unless_erased()
            require_open(session, now)
            newest_first = (
                cls.open_uploads()
                .where(cls.session == session)
                .order_by(cls.created_at.desc(), cls.id.desc())
            )
            for oldest in list(newest_first)[MAX_OPEN_UPLOADS - 1 :]:
                oldest.delete_with_object()
            if stored_bytes(Session.get_by_id(session.id)) >= max_bytes:
                raise SessionFull()
            return cls.create(session=session, object_key=object_key, expires_at=now + UPLOAD_URL_LIFETIME)

    @classmethod
    def find_open(cls, object_key: str) -> "BundleUpload":
        """The open upload with this key. Raises UploadRefused."""
        upload = cls.open_uploads().where(cls.object_key == object_key).get_or_none()
        if upload is None:
            raise UploadRefused()
        return upload

    @classmethod
    def reserve(cls, session: Session, object_key: str) -> "BundleUpload":
        """Create the row of an object that the service stores itself. No URL accepts it."""
        expires_at = clock.now() + UPLOAD_URL_LIFETIME
        return cls.create(
            session=session, object_key=object_key, source_key=object_key, expires_at=expires_at
        )

    def require_space(self, size: int, max_bytes: int) -> None:
        """Raise SessionFull if the session has no space for a bundle of this size in this upload."""
        session = Session.get_by_id(self.session_id)
        if stored_bytes(session) - (self.size or 0) + size > max_bytes:
            raise SessionFull()

    def record_bundle(self, size: int, max_bytes: int) -> None:
        """Record the size of the uploaded bundle. Without space in the session, close the upload.

        Raises UploadRefused if it was closed while the bundle arrived, and SessionFull.
        """
        with db.atomic():
            session = self.session.lock()
            upload = BundleUpload.find_open(self.object_key)
            upload.update_columns(size=size)
            BundleUpload.recount(session)
            has_space = stored_bytes(session) <= max_bytes
            if not has_space:
                upload.delete_with_object()
        if not has_space:
            raise SessionFull()

    @classmethod
    def find_submitted(cls, session: Session, bundle_key: str) -> "BundleUpload | None":
        """The open upload with this key, or its verified copy."""
        upload = cls.open_uploads().where(cls.session == session, cls.object_key == bundle_key).get_or_none()
        copies = cls.select().join(Submission).where(cls.session == session, cls.source_key == bundle_key)
        return upload or copies.where(Submission.verdict == "verified").first()

    def reserve_copy(self, object_key: str) -> "BundleUpload":
        """Create the row of a copy before the object, so that no object is left behind; a copy returns itself."""
        if self.source_key is not None:
            return self
        with db.atomic():
            session = self.session.lock_unless_erased()
            expires_at = clock.now() + UPLOAD_URL_LIFETIME
            ids = {"object_key": object_key, "source_key": self.object_key}
            return BundleUpload.create(session=session, expires_at=expires_at, **ids)

    def keep(self, size: int) -> None:
        """Keep a verified copy or a hand-in, and close the copy's upload.

        size -- of the bundle and of what else the submission stores
        """
        self.update_columns(size=size)
        for upload in BundleUpload.open_uploads().where(BundleUpload.object_key == self.source_key):
            upload.delete_with_object()

    @classmethod
    def recount(cls, session: Session) -> None:
        """Count the bytes of a locked session's bundles."""
        size = cls.select(peewee.fn.SUM(cls.size)).where(cls.session == session).scalar()
        session.update_columns(stored_bundle_bytes=int(size or 0))

    @classmethod
    def delete_unused(cls) -> int:
        """Delete uploads that are not kept a day after their expiry; returns how many."""
        is_old = cls.expires_at <= clock.now() - MAX_UNUSED_UPLOAD_AGE
        is_unused = cls.source_key.is_null() | cls.size.is_null()
        unused = cls.select(cls, Session).join(Session).where(is_old, is_unused)
        return run_each("uploads", unused, cls._delete_unused)

    def _delete_unused(self) -> int:
        with db.atomic():
            self.delete_with_object()
            organization_id, subject = self.session.organization_id, ("session", self.session_id)
            ids = [str(self.id)]
            AuditEntry.record(organization_id, "removeUnusedUpload", WORKER, *subject, further_ids=ids)
        return 1

    def delete_with_object(self) -> None:
        """Delete the upload, and its bundle from the store even if it is uploaded later."""
        with db.atomic():
            session = self.session.lock()
            Submission.update(upload=None).where(Submission.upload == self).execute()
            outbox.enqueue_removals(session.organization_id, session.id, [(self.object_key, self.expires_at)])
            self.delete_instance()
            BundleUpload.recount(session)

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Session | None) -> int:
        """Delete the uploads, and their bundles from the store even if they are uploaded later."""
        if session is None:
            return 0
        objects = list(cls.personal_rows(key, session).select(cls.object_key, cls.expires_at).tuples())
        outbox.enqueue_removals(session.organization_id, session.id, objects)
        session.update_columns(stored_bundle_bytes=0)
        return super().erase_personal_data(key, session)


def _content_bytes(diff: str | None, file_tree: list[str] | None) -> int:
    return sum(len(text.encode()) for text in (diff or "", *(file_tree or ())))


def require_open(session: Session, now: datetime) -> None:
    """Raise AssessmentClosed more than ten minutes after the close (R18)."""
    close = session.closed_as_of(now)
    if close is not None and session_close.intake_window(now, close) != "flush":
        raise AssessmentClosed(completedAt=format_timestamp(session.completed_at or close))


class Submission(Model, ErasedWithSession):
    """A submission, and whether the stored bundle is the one that the client describes.

    `verdict` is `verified`, `mismatch` (another size or digest) or `missing` (nothing was uploaded). The latest
    verified one counts; of the newest MAX_OTHER_SUBMISSIONS others only the facts are stored. Their uploads are deleted
    later.
    """

    personal_data = PersonalData("submissions", "Your submissions: changes and file names.")

    upload_id: Any
    session = peewee.ForeignKeyField(Session, index=False)
    upload = peewee.ForeignKeyField(BundleUpload, null=True)
    verdict = peewee.TextField()
    bundle_size = peewee.BigIntegerField()
    bundle_sha256 = peewee.TextField()
    found_size = peewee.BigIntegerField(null=True)
    found_sha256 = peewee.TextField(null=True)
    repo_url = peewee.TextField(null=True)
    base_sha = peewee.TextField(null=True)
    file_tree = peewee.JSONField(null=True)
    diff = peewee.TextField(null=True)

    class Meta:
        indexes = ((("session", "created_at", "id"), False),)

    @classmethod
    def verified(cls) -> Any:
        return cls.select().where(cls.verdict == "verified")

    @classmethod
    def of(cls, session: Session) -> list["Submission"]:
        """All submissions, and the content of the one that counts."""
        current = cls.current(session, with_content=True)
        rows = cls.select(*cls._facts()).where(cls.session == session).order_by(cls.created_at, cls.id)
        return [current if current and row.id == current.id else row for row in rows]

    @classmethod
    def current(cls, session: Session, with_content: bool = False) -> "Submission | None":
        """The latest verified submission of a session, with its upload.

        with_content -- read its diff and its file names, which can have 16 MiB
        """
        columns = [cls] if with_content else cls._facts()
        query = cls.verified().select(*columns, BundleUpload).join(BundleUpload).where(cls.session == session)
        return query.order_by(cls.created_at.desc(), cls.id.desc()).first()

    @classmethod
    def _facts(cls) -> list[Any]:
        """The columns without content. Rows of earlier releases have longer texts than are stored now."""
        texts = [
            peewee.fn.SUBSTR(column, 1, MAX_FACT_CHARACTERS).alias(column.name)
            for column in (cls.repo_url, cls.base_sha)
        ]
        found = (cls.verdict, cls.bundle_size, cls.bundle_sha256, cls.found_size, cls.found_sha256)
        return [cls.id, cls.created_at, cls.session, cls.upload, *found, *texts]

    @classmethod
    def record(
        cls,
        session: Session,
        copy: BundleUpload | None,
        bundle: tuple[int, str] | None,
        submitted: dict,
        max_bytes: int,
    ) -> "Submission":
        """Store a submission. A verified one replaces the one before it, whose bundle is deleted.

        copy -- of the upload that the client names; deleted if it does not match
        bundle -- size and SHA-256 of the copy; None without one

        Raises AssessmentClosed more than ten minutes after the close (R18), and SessionFull.
        """
        with db.atomic():
            session = session.lock_unless_erased()
            require_open(session, clock.now())
            # The copy may have been deleted since it was read.
            copy = copy and BundleUpload.get_or_none(BundleUpload.id == copy.id)
            size, sha256 = (copy and bundle) or (None, None)
            verdict = "missing"
            if size is not None:
                is_same = (size, sha256) == (submitted["bundle_size"], submitted["bundle_sha256"].lower())
                verdict = "verified" if is_same else "mismatch"
            if verdict != "verified":
                submitted = submitted | {"diff": None, "file_tree": None}
            before = cls.current(session)
            facts = {"verdict": verdict, "found_size": size, "found_sha256": sha256}
            stored = cls.create(session=session, upload=copy, **submitted, **facts)
            if verdict == "verified":
                stored._replace(before, max_bytes)
            elif copy is not None and copy.size is None:
                copy.delete_with_object()
            cls._delete_others(session)
        return stored

    @classmethod
    def _delete_others(cls, session: Session) -> None:
        """Delete all but the newest of those that do not count: unverified or superseded."""
        others = cls.select(cls.id).where(cls.session == session)
        others = others.where((cls.verdict != "verified") | cls.upload.is_null())
        newest_first = others.order_by(cls.created_at.desc(), cls.id.desc())
        old = [row.id for row in newest_first.offset(MAX_OTHER_SUBMISSIONS)]
        cls.delete().where(cls.id.in_(old)).execute()

    def _replace(self, before: "Submission | None", max_bytes: int) -> None:
        """Keep the verified bundle, and delete the one before it."""
        copy: Any = self.upload
        copy.keep(self.bundle_size + _content_bytes(self.diff, self.file_tree))
        if before is not None:
            before._supersede(self)
        BundleUpload.recount(self.session)
        if stored_bytes(self.session) > max_bytes:
            raise SessionFull()

    def _supersede(self, later: "Submission") -> None:
        """Delete the content that a later submission replaces; the facts stay.

        Without an upload it can never be the current one again, even if the clock was set back.
        """
        upload: Any = self.upload
        self.update_columns(diff=None, file_tree=None, upload=None)
        if upload.id != later.upload_id:
            upload.delete_with_object()
