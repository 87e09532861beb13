"""What candidates hand in: their client's reports, places for bundles, what was submitted (contract 3.6 to 3.11)."""

from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import AssessmentClosed, SessionClosed
from models.audit import WORKER, AuditEntry
from models.base import ErasedWithSession, Model, PersonalData, Query, TimestampField, clock, db
from models.deliveries import outbox
from models.keys import CandidateKey
from models.sessions import Session
from rules import session_close
from rules.timestamps import format_timestamp

UPLOAD_OPEN = timedelta(hours=1)
# A client submits right after it has uploaded; one that has not done so by then never will.
KEPT_UNUSED = timedelta(hours=24)


class ClientReport(Model, ErasedWithSession):
    """Something that a client tells about its machine or workspace, as it came.

    `kind` is `workspace_commit`, `device_start`, `device_done` or `hosted_boot`.
    """

    personal_data = PersonalData(
        "clientReports", "What your client reported about your computer and your workspace."
    )

    session = peewee.ForeignKeyField(Session)
    kind = peewee.TextField()
    data = peewee.JSONField()

    class Meta:
        table_name = "client_reports"

    @classmethod
    def keep(cls, session: Session, kind: str, data: dict[str, Any]) -> None:
        """Keep a report; SessionClosed more than 24 hours after the close, as for events (R4, R18)."""
        now = clock.now()
        with db.atomic():
            session.require_person()
            if session_close.intake_window(now, session.closed_as_of(now)) == "over":
                raise SessionClosed()
            cls.create(session=session, kind=kind, data=data)

    @classmethod
    def of(cls, session: Session) -> list["ClientReport"]:
        return list(cls.select().where(cls.session == session).order_by(cls.created_at, cls.id))


class BundleUpload(Model):
    """A place in the store for one bundle. Each call gets one of its own; many are never used."""

    personal_data = PersonalData("uploads", "Uploads of your workspace.")

    session_id: Any
    session = peewee.ForeignKeyField(Session)
    object_key = peewee.TextField(unique=True)
    expires_at = TimestampField()

    class Meta:
        table_name = "uploads"

    @classmethod
    def open(cls, session: Session, object_key: str) -> "BundleUpload":
        """A new place, for an hour; AssessmentClosed where the session takes no bundle any more (R18)."""
        now = clock.now()
        with db.atomic():
            session.require_person()
            require_open(session, now)
            return cls.create(session=session, object_key=object_key, expires_at=now + UPLOAD_OPEN)

    @classmethod
    def delete_unused(cls) -> int:
        """Let go of every place that became no submission within a day after its address had expired; returns how
        many."""
        used = Submission.select(Submission.upload).where(
            Submission.is_verified(), Submission.upload.is_null(False)
        )
        over = cls.expires_at <= clock.now() - KEPT_UNUSED
        unused = list(cls.select(cls, Session).join(Session).where(over, cls.id.not_in(used)))
        for upload in unused:
            upload._delete_unused()
        return len(unused)

    def _delete_unused(self) -> None:
        with db.atomic():
            self.delete_with_object()
            subject = {"subject_kind": "session", "subject_id": self.session_id}
            AuditEntry.record(
                self.session.organization_id,
                "removeUnusedUpload",
                WORKER,
                **subject,
                further_ids=[str(self.id)],
            )

    def delete_with_object(self) -> None:
        """Let go of the place, and from the store of its bundle, also of one that the address may still bring."""
        with db.atomic():
            session = self.session.lock()
            Submission.update(upload=None).where(Submission.upload == self).execute()
            outbox.enqueue_removals(session.organization_id, session.id, [(self.object_key, self.expires_at)])
            self.delete_instance()

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Session | None) -> Query:
        return cls.select().where(cls.session == session)

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Session | None) -> int:
        """Let the bundles go from the store, those too that an address given out before may still bring."""
        if session is None:
            return 0
        objects = list(cls.personal_rows(key, session).select(cls.object_key, cls.expires_at).tuples())
        outbox.enqueue_removals(session.organization_id, session.id, objects)
        return cls.delete().where(cls.session == session).execute()


def require_open(session: Session, now: datetime) -> None:
    """AssessmentClosed more than ten minutes after the close (R18)."""
    close = session.closed_as_of(now)
    if close is not None and session_close.intake_window(now, close) != "flush":
        raise AssessmentClosed(completedAt=format_timestamp(session.completed_at or close))


class Submission(Model, ErasedWithSession):
    """What was submitted, and whether the bundle in the store is what the client says it sent.

    `verdict` is `verified`, `mismatch` (another size or digest) or `missing` (nothing was uploaded). The latest
    verified one is the session's; of the others only the facts are kept, and in time no upload.
    """

    personal_data = PersonalData("submissions", "What you submitted: changes and names of files.")

    session_id: Any
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
        table_name = "submissions"
        indexes = ((("session", "created_at", "id"), False),)

    @classmethod
    def is_verified(cls) -> peewee.Expression:
        return cls.verdict == "verified"

    @classmethod
    def of(cls, session: Session) -> list["Submission"]:
        return list(cls.select().where(cls.session == session).order_by(cls.created_at, cls.id))

    @classmethod
    def current(cls, session: Session) -> "Submission | None":
        """The latest verified submission of a session."""
        verified = (
            cls.select(cls, BundleUpload).join(BundleUpload).where(cls.session == session, cls.is_verified())
        )
        return verified.order_by(cls.created_at.desc(), cls.id.desc()).first()

    @classmethod
    def keep(
        cls,
        session: Session,
        upload: BundleUpload | None,
        found: tuple[int, str] | None,
        told: dict[str, Any],
    ) -> "Submission":
        """Keep what a client submitted; `found` is size and SHA-256 of what lies in the store, None for nothing.

        A verified one takes the place of the one before it, whose bundle goes from the store. AssessmentClosed
        more than ten minutes after the close (R18).
        """
        with db.atomic():
            locked = session.lock()
            locked.require_person()
            require_open(locked, clock.now())
            # What lay there may have been let go of since it was looked at.
            upload = upload and BundleUpload.get_or_none(BundleUpload.id == upload.id)
            found = found if upload else None
            before = cls.current(session)
            verdict = _verdict(found, (told["bundle_size"], told["bundle_sha256"].lower()))
            content = {} if verdict == "verified" else {"diff": None, "file_tree": None}
            size, digest = found or (None, None)
            facts = {"verdict": verdict, "found_size": size, "found_sha256": digest}
            kept = cls.create(session=session, upload=upload, **(told | content | facts))
            if verdict == "verified" and before is not None:
                before._supersede(kept)
        return kept

    def _supersede(self, later: "Submission") -> None:
        """Let go of the content that a later submission replaces; what it was stays as a fact.

        One that has lost its upload is never the current one, whatever the clock said when it came.
        """
        gone = {"diff": None, "file_tree": None, "upload": None}
        upload: Any = self.upload
        self.update_columns(**gone)
        if upload.id != later.upload_id:
            upload.delete_with_object()


def _verdict(found: tuple[int, str] | None, told: tuple[int, str]) -> str:
    if found is None:
        return "missing"
    return "verified" if found == told else "mismatch"
