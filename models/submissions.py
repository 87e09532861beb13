"""Client reports, bundle uploads and submissions of candidates (docs/candidate-client.md, 3.6 to 3.11)."""

from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import AssessmentClosed, SessionClosed
from models.audit import WORKER, AuditEntry
from models.base import ErasedWithSession, Model, PersonalData, TimestampField, clock, db
from models.deliveries import outbox
from models.keys import CandidateKey
from models.sessions import Session
from models.task_failures import run_each
from rules import session_close
from rules.timestamps import format_timestamp

UPLOAD_URL_LIFETIME = timedelta(hours=1)
# A client submits right after the upload; an upload without a submission by then will never have one.
MAX_UNUSED_UPLOAD_AGE = timedelta(hours=24)


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
        """Store a report. Raises SessionClosed more than 24 hours after the close, as for events (R4, R18)."""
        now = clock.now()
        with db.atomic():
            session = session.lock_unless_erased()
            if session_close.intake_window(now, session.closed_as_of(now)) == "over":
                raise SessionClosed()
            cls.create(session=session, kind=kind, data=data)


class BundleUpload(Model, ErasedWithSession):
    """An upload slot for one bundle. Each request opens a new one; many are never used."""

    personal_data = PersonalData("uploads", "Uploads of your workspace.")

    session = peewee.ForeignKeyField(Session)
    object_key = peewee.TextField(unique=True)
    expires_at = TimestampField()

    class Meta:
        table_name = "uploads"

    @classmethod
    def open(cls, session: Session, object_key: str) -> "BundleUpload":
        """Open an upload for an hour. Raises AssessmentClosed if the session takes no more bundles (R18)."""
        now = clock.now()
        with db.atomic():
            session = session.lock_unless_erased()
            _require_open(session, now)
            return cls.create(session=session, object_key=object_key, expires_at=now + UPLOAD_URL_LIFETIME)

    @classmethod
    def delete_unused(cls) -> int:
        """Delete uploads without a verified submission a day after their expiry; returns how many."""
        used = Submission.verified().select(Submission.upload).where(Submission.upload.is_null(False))
        is_old = cls.expires_at <= clock.now() - MAX_UNUSED_UPLOAD_AGE
        unused = cls.select(cls, Session).join(Session).where(is_old, cls.id.not_in(used))
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

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Session | None) -> int:
        """Delete the uploads, and their bundles from the store even if they are uploaded later."""
        if session is None:
            return 0
        objects = list(cls.personal_rows(key, session).select(cls.object_key, cls.expires_at).tuples())
        outbox.enqueue_removals(session.organization_id, session.id, objects)
        return super().erase_personal_data(key, session)


def _require_open(session: Session, now: datetime) -> None:
    """Raise AssessmentClosed more than ten minutes after the close (R18)."""
    close = session.closed_as_of(now)
    if close is not None and session_close.intake_window(now, close) != "flush":
        raise AssessmentClosed(completedAt=format_timestamp(session.completed_at or close))


class Submission(Model, ErasedWithSession):
    """A submission, and whether the stored bundle is the one that the client describes.

    `verdict` is `verified`, `mismatch` (another size or digest) or `missing` (nothing was uploaded). The latest
    verified one counts; of the others only the facts are stored, and their uploads are deleted later.
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
        return list(cls.select().where(cls.session == session).order_by(cls.created_at, cls.id))

    @classmethod
    def current(cls, session: Session) -> "Submission | None":
        """The latest verified submission of a session, with its upload."""
        query = cls.verified().select(cls, BundleUpload).join(BundleUpload).where(cls.session == session)
        return query.order_by(cls.created_at.desc(), cls.id.desc()).first()

    @classmethod
    def record(
        cls, session: Session, upload: BundleUpload | None, bundle: tuple[int, str] | None, submitted: dict
    ) -> "Submission":
        """Store a submission. A verified one replaces the one before it, whose bundle is deleted.

        bundle -- size and SHA-256 of the stored bundle; None without one

        Raises AssessmentClosed more than ten minutes after the close (R18).
        """
        with db.atomic():
            session = session.lock_unless_erased()
            _require_open(session, clock.now())
            # The upload may have been deleted since its bundle was read.
            upload = upload and BundleUpload.get_or_none(BundleUpload.id == upload.id)
            size, sha256 = (upload and bundle) or (None, None)
            verdict = "missing"
            if size is not None:
                is_same = (size, sha256) == (submitted["bundle_size"], submitted["bundle_sha256"].lower())
                verdict = "verified" if is_same else "mismatch"
            if verdict != "verified":
                submitted = submitted | {"diff": None, "file_tree": None}
            before = cls.current(session)
            facts = {"verdict": verdict, "found_size": size, "found_sha256": sha256}
            stored = cls.create(session=session, upload=upload, **submitted, **facts)
            if verdict == "verified" and before is not None:
                before._supersede(stored)
        return stored

    def _supersede(self, later: "Submission") -> None:
        """Delete the content that a later submission replaces; the facts stay.

        Without an upload it can never be the current one again, even if the clock was set back.
        """
        upload: Any = self.upload
        self.update_columns(diff=None, file_tree=None, upload=None)
        if upload.id != later.upload_id:
            upload.delete_with_object()
