"""Hand-ins of candidates: a git bundle or a zip archive, and a bundle's final diff (docs/workspace.md#submissions)."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import NotFound, SessionFull
from models.base import (
    ErasedWithSession,
    Model,
    PersonalData,
    Query,
    TimestampField,
    add_index,
    clock,
    db,
)
from models.sessions import Session, final_seals, stored_bytes
from models.sessions.submissions import BundleUpload, require_open
from rules.integrity.findings import Group
from rules.session_close import COUNTED_AFTER_CLOSE
from rules.statistics.rounding import BILLION, half_up_ratio

GIT, ZIP = "git", "zip"
# A bundle waits until it was read; a zip archive is only stored.
WAITING, READ, UNREADABLE, STORED = STATES = ("waiting", "read", "unreadable", "stored")
MAX_ATTEMPTS = 3
# Longer than one attempt takes.
LEASE = timedelta(minutes=5)
RETRY_PAUSE = timedelta(minutes=1)
MAX_DUE = 5
MAX_ROWS_PER_INSERT = 200


class HandIn(Model, ErasedWithSession):
    """A candidate's hand-in; a new one replaces the one before it.

    `retry_at` is the worker's next attempt, None if nothing is left to do. `base_verified` is whether the bundle
    contains the assessment's commit. `counted_lines` are the final diff's added lines that are not blank;
    `manual_lines` are those of them that none of the first `matched_event_count` counted events added.
    """

    personal_data = PersonalData("handIns", "The work that you handed in, and the result of reading it.")

    upload_id: Any
    session = peewee.ForeignKeyField(Session)
    upload = peewee.ForeignKeyField(BundleUpload)
    format = peewee.TextField()
    size = peewee.IntegerField()
    sha256 = peewee.TextField()
    state = peewee.TextField()
    problem = peewee.TextField(null=True)
    attempts = peewee.IntegerField(default=0)
    retry_at = TimestampField(null=True)
    base_verified = peewee.BooleanField(null=True)
    base_commit = peewee.TextField(null=True)
    head_commit = peewee.TextField(null=True)
    counted_lines = peewee.IntegerField(null=True)
    manual_lines = peewee.IntegerField(null=True)
    matched_event_count = peewee.IntegerField(null=True)

    @classmethod
    def current(cls, session: Session) -> "HandIn | None":
        """The session's hand-in, with its upload."""
        if not session.stored_bundle_bytes:
            return None  # without a query
        query = cls.select(cls, BundleUpload).join(BundleUpload).where(cls.session == session)
        return query.order_by(cls.created_at.desc(), cls.id.desc()).first()

    # Receiving

    @classmethod
    def reserve(cls, session: Session, object_key: str, size: int, max_bytes: int) -> BundleUpload:
        """Create the row of an object before the object itself: an object without a row would never be deleted.

        Raises AssessmentClosed more than ten minutes after the close (R18), and SessionFull.
        """
        with db.atomic():
            session = session.lock_unless_erased()
            require_open(session, clock.now())
            cls._require_space(session, size, max_bytes)
            return BundleUpload.reserve(session, object_key)

    @classmethod
    def record(cls, upload: BundleUpload, format: str, size: int, sha256: str, max_bytes: int) -> "HandIn":
        """Store a received hand-in, and delete the one before it.

        Raises AssessmentClosed, SessionFull, Erased, and NotFound if the upload was deleted meanwhile.
        """
        with db.atomic():
            session = upload.session.lock_unless_erased()
            require_open(session, clock.now())
            if not BundleUpload.select().where(BundleUpload.id == upload.id).exists():
                raise NotFound()
            cls._require_space(session, size, max_bytes)
            for earlier in cls.select().where(cls.session == session):
                earlier._delete()
            upload.keep(size)
            is_git = format == GIT
            state, retry_at = (WAITING, clock.now()) if is_git else (STORED, None)
            facts = {"format": format, "size": size, "sha256": sha256, "state": state, "retry_at": retry_at}
            stored = cls.create(session=session, upload=upload, **facts)
            BundleUpload.recount(session)
            _store_ratio(session, None)
        return stored

    @classmethod
    def _require_space(cls, session: Session, size: int, max_bytes: int) -> None:
        """Raise SessionFull if the session has no space for a hand-in in place of the current one."""
        replaced = cls.select(peewee.fn.SUM(cls.size)).where(cls.session == session).scalar() or 0
        if stored_bytes(Session.get_by_id(session.id)) - int(replaced) + size > max_bytes:
            raise SessionFull()

    def _delete(self) -> None:
        HandInFile.delete().where(HandInFile.session == self.session_id).execute()
        self.delete_instance()
        BundleUpload.get_by_id(self.upload_id).delete_with_object()

    # Reading

    @classmethod
    def due(cls) -> list["HandIn"]:
        """The hand-ins to read now: new ones, and read ones whose session has closed."""
        is_due = (cls.state == WAITING) | (Session.closed_at.is_null(False) & ~Session.metrics_due)
        query = cls.select(cls, Session).join(Session).where(cls.retry_at <= clock.now(), is_due)
        return list(query.order_by(cls.retry_at, cls.id).limit(MAX_DUE))

    @property
    def is_matched(self) -> bool:
        """Return whether it was read, and compared with all events that count."""
        return self.state == READ and self.matched_event_count == self.session.event_count

    def claim(self) -> bool:
        """Claim the next attempt to read it; returns False if another worker has it."""
        claimed = {"attempts": self.attempts + 1, "retry_at": clock.now() + LEASE}
        table = type(self)
        update = table.update(claimed).where(table.id == self.id, table.attempts == self.attempts)
        if not update.execute():
            return False
        self.attempts += 1
        return True

    def retry_later(self, counts: bool = True) -> None:
        """Schedule another attempt.

        counts -- whether the failed one counts towards MAX_ATTEMPTS
        """
        attempts = self.attempts if counts else self.attempts - 1
        self.update_columns(attempts=attempts, retry_at=clock.now() + RETRY_PAUSE)

    def settle(self) -> None:
        """Finish it if no further event can count, otherwise schedule another comparison."""
        closed_at = self.session.closed_at
        is_final = closed_at is not None and clock.now() > closed_at + COUNTED_AFTER_CLOSE
        retry_at = None if is_final else clock.now() + (RETRY_PAUSE if closed_at else timedelta())
        self.update_columns(attempts=0, retry_at=retry_at)

    def record_unreadable(self, problem: str) -> None:
        """Record why the bundle cannot be read. It is kept."""
        with db.atomic():
            if session := self._lock():
                HandInFile.delete().where(HandInFile.session == session).execute()
                self.update_columns(state=UNREADABLE, problem=problem, retry_at=None)
                _store_ratio(session, None)

    def record_diff(
        self, commits: dict[str, Any], files: Iterable[dict[str, Any]], event_count: int | None
    ) -> None:
        """Store the final diff, and the session's manualLineRatio once it has closed.

        commits -- `head`, `base` and `isVerified`
        files -- the columns of HandInFile, by path, each with `counted_lines` and `manual_lines`
        event_count -- of the session before its events were read
        """
        with db.atomic():
            session = self._lock()
            if session is None:
                return
            HandInFile.delete().where(HandInFile.session == session).execute()
            counted = HandInFile.store(session, files)
            lines = {"counted_lines": counted[0], "manual_lines": counted[1]}
            names = {"base_commit": commits["base"], "head_commit": commits["head"]}
            self.update_columns(
                state=READ,
                problem=None,
                base_verified=commits["isVerified"],
                matched_event_count=event_count,
                **lines,
                **names,
            )
            _store_ratio(session, self._ratio(session))
            self.session = session
            self.settle()

    def _lock(self) -> Session | None:
        """The locked session; None if the hand-in was erased or replaced."""
        session = self.session.lock()
        return session if HandIn.select().where(HandIn.id == self.id).exists() else None

    def _ratio(self, session: Session) -> int | None:
        """The manualLineRatio in billionths (docs/metrics.md#lines-not-recorded)."""
        if session.closed_at is None or not self.base_verified or not self.counted_lines:
            return None
        return half_up_ratio(self.manual_lines or 0, self.counted_lines, BILLION)

    @classmethod
    def irregularities(cls, session: Session) -> Iterator[Group]:
        """Facts about the hand-in, for the session's integrity."""
        hand_in = cls.current(session)
        yield Group("hand_in_unreadable", [], int(hand_in is not None and hand_in.state == UNREADABLE))
        yield Group("base_unverified", [], int(hand_in is not None and hand_in.base_verified is False))


def _store_ratio(session: Session, ratio: int | None) -> None:
    """Store a locked session's manualLineRatio, seal it, and let its facts be checked again."""
    session.update_columns(manual_line_ratio=ratio, checked_seal_count=0)
    final_seals.renew(session, "handed_in", "hand_in")


# For the worker's search.
add_index("hand_ins_due", HandIn.retry_at, where=HandIn.retry_at.is_null(False))


class HandInFile(Model, ErasedWithSession):
    """A file in the final diff. `manual_ranges` are [first, last] line numbers of the handed-in file."""

    personal_data = PersonalData("handInFiles", "The files that you changed, compared with the start.")

    session = peewee.ForeignKeyField(Session)
    path = peewee.TextField()
    old_path = peewee.TextField(null=True)
    status = peewee.TextField()
    old_mode = peewee.TextField(null=True)
    new_mode = peewee.TextField(null=True)
    is_binary = peewee.BooleanField()
    is_truncated = peewee.BooleanField()
    lines_added = peewee.IntegerField()
    lines_removed = peewee.IntegerField()
    diff = peewee.TextField(null=True)
    manual_ranges = peewee.JSONField()

    @classmethod
    def of(cls, session: Session) -> Query:
        """The files by path: their ids ascend in this order."""
        return cls.select().where(cls.session == session)

    @classmethod
    def store(cls, session: Session, files: Iterable[dict[str, Any]]) -> tuple[int, int]:
        """Store the files; returns the sums of `counted_lines` and `manual_lines`."""
        counted = manual = 0
        created_at: datetime = clock.now()

        def rows() -> Iterator[dict[str, Any]]:
            nonlocal counted, manual
            for file in files:
                counted += file.pop("counted_lines")
                manual += file.pop("manual_lines")
                yield file | {"session": session, "created_at": created_at}

        for batch in peewee.chunked(rows(), MAX_ROWS_PER_INSERT):
            cls.insert_many(batch).execute()
        return counted, manual
