"""Candidates' submissions: a git bundle, a zip archive, or a client's bundle."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import peewee

from errors import SessionFull
from models import batches
from models.base import ErasedWithSession, Model, PersonalData, Query, TimestampField, clock, db
from models.fields import JSONField
from models.ledger.protection import ProtectedModel
from models.sessions import Session, stored_bytes
from models.sessions.submissions.objects import StoredObject, recount, require_open
from models.sessions.submissions.uploads import BundleUpload
from rules.integrity.findings import Finding

# `tar` is a client's gzip-compressed tar (docs/candidate-client.md, 3.9 to 3.11).
TAR, GIT, ZIP = "tar", "git", "zip"
RECEIVING = "receiving"
# A git bundle or zip archive waits to be read. A zip archive has no diff: it is stored once all its files were read.
WAITING, READ, UNREADABLE, STORED = "waiting", "read", "unreadable", "stored"
# A client's bundle matches the claimed size and digest, differs from them, or did not arrive.
VERIFIED, MISMATCH, MISSING = "verified", "mismatch", "missing"
REPLACED = "replaced"
# A readable git bundle or zip archive counts before a client's bundle, and both before an unread bundle.
_RANKS = {READ: 0, STORED: 0, VERIFIED: 1, WAITING: 2, UNREADABLE: 2}

# Submissions without an object do not count towards SESSION_MAX_BYTES.
MAX_WITHOUT_OBJECT = 100
MAX_ROWS_PER_INSERT = 200


class Submission(ProtectedModel, StoredObject):
    """A candidate's submission; `created_at` is when it was received.

    The latest git bundle or zip archive and the latest verified client bundle keep their object. A git bundle or zip
    archive replaces earlier ones only when it has been read (R47): until then they keep theirs, except unreadable ones.
    Replaced and rejected submissions keep their newest MAX_WITHOUT_OBJECT rows, without content.

    For a client's bundle, `source_key` is the key of the upload that it was copied from, and `claimed_size`,
    `claimed_sha256`, `repo_url`, `base_sha`, `file_tree` and `diff` are claims by the client.

    `base_commit` is the commit that the work is compared with, null for the empty tree or if there is none.
    `base_verified` is true if it is the session's.

    For a git bundle or zip archive, `retry_at` is the time of the worker's next attempt to read it, and `problem` the
    reason why it is unreadable, or, in another state, that the store lost it. For a git bundle, `counted_lines` is the
    number of nonblank lines added in the final diff; `not_recorded_lines` of them were not added by the first
    `matched_event_count` counted events. `files_sha256` is the final diff's hash.
    """

    personal_data = PersonalData("submissions", "Your submissions, and the results of reading them.")
    protected = (
        *("session", "format", "state", "created_at", "size", "sha256", "claimed_size", "claimed_sha256"),
        *("repo_url", "base_sha", "file_tree", "diff", "problem", "object_key", "source_key"),
        *("base_verified", "base_commit", "head_commit"),
        *("counted_lines", "not_recorded_lines", "matched_event_count", "files_sha256"),
    )
    parent = "session"
    session_link = ("session_id", "id")
    deleted_by_erasure = True

    session = peewee.ForeignKeyField(Session, index=False)
    format = peewee.TextField()
    state = peewee.TextField(default=RECEIVING)
    object_key = peewee.TextField(null=True, unique=True)
    stored_bytes = peewee.BigIntegerField(default=0)
    size = peewee.BigIntegerField(null=True)
    sha256 = peewee.TextField(null=True)
    source_key = peewee.TextField(null=True)
    claimed_size = peewee.BigIntegerField(null=True)
    claimed_sha256 = peewee.TextField(null=True)
    repo_url = peewee.TextField(null=True)
    base_sha = peewee.TextField(null=True)
    file_tree = JSONField(null=True)
    diff = peewee.TextField(null=True)
    problem = peewee.TextField(null=True)
    attempts = peewee.IntegerField(default=0)
    retry_at = TimestampField(null=True)
    base_verified = peewee.BooleanField(null=True)
    base_commit = peewee.TextField(null=True)
    head_commit = peewee.TextField(null=True)
    counted_lines = peewee.IntegerField(null=True)
    not_recorded_lines = peewee.IntegerField(null=True)
    matched_event_count = peewee.IntegerField(null=True)
    files_sha256 = peewee.TextField(null=True)

    @classmethod
    def unused(cls) -> Query:
        return cls.select().where(cls.state == RECEIVING)

    @classmethod
    def of(cls, session: Session) -> Query:
        """Select the received submissions, oldest first."""
        rows = cls.select().where(cls.session == session, cls.state != RECEIVING)
        return rows.order_by(cls.created_at, cls.id)

    @classmethod
    def stored(cls, session: Session, *formats: str, with_content: bool = False) -> "list[Submission]":
        """Return the submissions that have an object, newest first, optionally of these formats.

        with_content -- include the diff and file names, up to 16 MiB
        """
        content = () if with_content else (cls.diff, cls.file_tree)
        columns = [column for column in cls._meta.sorted_fields if column not in content]
        submissions = cls.of(session).select(*columns).where(cls.object_key.is_null(False))
        if formats:
            submissions = submissions.where(cls.format << formats)
        return list(submissions.order_by(cls.created_at.desc(), cls.id.desc()))

    @classmethod
    def current(cls, session: Session, *formats: str, with_content: bool = False) -> "Submission | None":
        """Return the submission that counts: the newest of those that rank first in _RANKS (R47)."""
        submissions = cls.stored(session, *formats, with_content=with_content)
        return min(submissions, key=lambda each: _RANKS.get(each.state, 2), default=None)

    @property
    def no_diff_reason(self) -> str | None:
        """The reason why there is no final diff: `no_base` or the state. None if there is one."""
        if self.state not in (READ, VERIFIED):
            return self.state
        return None if self.base_commit or self.base_verified else "no_base"

    @property
    def client_diff(self) -> str | None:
        """The diff that the client submitted, if it names a base."""
        return self.diff if self.no_diff_reason is None else None

    @classmethod
    def latest(cls, session: Session) -> "Submission | None":
        """Return the latest git bundle or zip archive, whether it counts or not."""
        rows = cls.of(session).where(cls.format << (GIT, ZIP))
        return rows.order_by(cls.created_at.desc(), cls.id.desc()).first()

    @classmethod
    def is_lost(cls) -> Any:
        """Return the condition that the store has lost a current submission after it was received."""
        return cls.problem.is_null(False) & cls.object_key.is_null(False) & (cls.state != UNREADABLE)

    @classmethod
    def reserve(
        cls, session: Session, format: str, object_key: str | None, source_key: str | None = None
    ) -> "Submission":
        """Create the row before the object arrives. Raises AssessmentClosed more than ten minutes after the close."""
        with db.atomic():
            session = session.lock_unless_erased()
            require_open(session)
            return cls.create(session=session, format=format, object_key=object_key, source_key=source_key)

    def reserve_space(self, size: int, max_bytes: int) -> None:
        """Count the upload's size while it arrives.

        Raises SessionFull if the session has no space for it without the previous submission.
        """
        with db.atomic():
            self.session = self.session.lock()
            self.update_columns(stored_bytes=size)
            self._require_space(self._earlier()[:1], max_bytes)

    def record(self, size: int, sha256: str, max_bytes: int) -> None:
        """Record a received git bundle or zip archive.

        Raises AssessmentClosed, SessionFull, Erased, and DoesNotExist if the row was deleted.
        """
        with db.atomic():
            self._lock_open()
            now = clock.now()
            columns = {"size": size, "sha256": sha256, "stored_bytes": size, "retry_at": now}
            self._make_current(max_bytes, state=WAITING, created_at=now, **columns)

    @classmethod
    def find_source(cls, session: Session, bundle_key: str) -> str | None:
        """Return the key of the object to copy: the open upload's, or its verified copy's."""
        uploads = BundleUpload.select().where(BundleUpload.session == session)
        if uploads.where(BundleUpload.object_key == bundle_key).exists():
            return bundle_key
        copy = cls.current(session, TAR)
        return copy.object_key if copy and copy.source_key == bundle_key else None

    def record_claims(self, stored: tuple[int, str] | None, claims: dict[str, Any], max_bytes: int) -> None:
        """Record the client's claims about its bundle. A verified bundle replaces the previous one.

        stored -- size and SHA-256 of the stored bundle; None if it is missing

        Raises AssessmentClosed, SessionFull, Erased, and DoesNotExist if the row was deleted.
        """
        size, sha256 = stored or (None, None)
        columns = claims | {"size": size, "sha256": sha256, "created_at": clock.now()}
        with db.atomic():
            self._lock_open()
            if stored == (claims["claimed_size"], claims["claimed_sha256"].lower()):
                for upload in BundleUpload.select().where(BundleUpload.object_key == self.source_key):
                    upload.delete_with_object()
                content = (claims["diff"], *claims["file_tree"])
                columns["stored_bytes"] = claims["claimed_size"] + sum(len(text.encode()) for text in content)
                columns |= self._claimed_base(claims["base_sha"])
                self._make_current(max_bytes, state=VERIFIED, **columns)
            else:
                self._discard(MISSING if stored is None else MISMATCH, **columns)

    def _lock_open(self) -> None:
        self.session = self.session.lock_unless_erased()
        require_open(self.session)
        self.lock()

    def _claimed_base(self, base_sha: str) -> dict[str, Any]:
        session = self.session
        has_base = bool(base_sha or session.repository or session.assessment.repo_url)
        is_verified = base_sha == session.repo_commit if has_base else None
        return {"base_commit": base_sha or None, "base_verified": is_verified}

    def _make_current(self, max_bytes: int, **columns: Any) -> None:
        """Record the submission, and discard the earlier ones that it replaces. Raises SessionFull."""
        earlier = self._earlier()
        for submission in earlier:
            if self.format == TAR or submission.state == UNREADABLE:
                submission._discard(REPLACED)
        self.update_columns(**columns)
        self._require_space(earlier[:1], max_bytes)
        self.session.update_columns(tests_due=True)

    def replace_earlier(self) -> None:
        """Discard the earlier submissions of a git bundle or zip archive that has been read."""
        for submission in self._earlier():
            submission._discard(REPLACED)
        recount(self.session)

    def _earlier(self) -> "list[Submission]":
        """Return the earlier submissions with an object, newest first. A client's bundle replaces only its own."""
        formats = (TAR,) if self.format == TAR else (GIT, ZIP)
        stored = Submission.stored(self.session, *formats)
        return stored[stored.index(self) + 1 :] if self in stored else stored

    def _require_space(self, replaced: "list[Submission]", max_bytes: int) -> None:
        """Raise SessionFull if the session has no space without the submissions that this one will replace."""
        recount(self.session)
        if stored_bytes(self.session) - sum(each.stored_bytes for each in replaced) > max_bytes:
            raise SessionFull()

    def _discard(self, state: str, **columns: Any) -> None:
        """Remove the object and the content, and delete the oldest rows without an object."""
        self.delete_diff()
        self.remove_object()
        columns |= {"object_key": None, "stored_bytes": 0, "diff": None, "file_tree": None, "retry_at": None}
        self.update_columns(state=state, **columns)
        table = type(self)
        without_object = (
            table.of(self.session).select(table.id, table.session).where(table.object_key.is_null())
        )
        newest_first = without_object.order_by(table.created_at.desc(), table.id.desc())
        for oldest in list(newest_first.offset(MAX_WITHOUT_OBJECT)):
            oldest.delete_protected()

    def delete_diff(self) -> None:
        """Delete the final diff if it is this submission's."""
        if self.files_sha256 is not None:
            SubmissionFile.delete().where(SubmissionFile.session == self.session).execute()
            store_ratio(self.session, None)

    @classmethod
    def findings(cls, session: Session) -> Iterator[Finding]:
        """Yield the findings about the latest git bundle or zip archive, and the base of the submission that counts."""
        if any(submission.state == UNREADABLE for submission in cls.stored(session, GIT, ZIP)[:1]):
            yield Finding("submission_unreadable", count=1)
        current = cls.current(session)
        if current and current.base_verified is False:
            yield Finding("base_unverified", count=1)


def store_ratio(session: Session, ratio: int | None) -> None:
    """Store a locked session's recordedLineRatio, and schedule another integrity check."""
    session.record_change("submitted", recorded_line_ratio=ratio, checked_version=0)


class SubmissionFile(Model, ErasedWithSession):
    """A file in the final diff. `not_recorded_ranges` are [first, last] line numbers in the submitted file.

    `size` is the size of a file that is too large to show, if it is known.
    """

    personal_data = PersonalData("submissionFiles", "The files that you changed, compared with the start.")

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
    not_recorded_ranges = peewee.JSONField()
    is_too_large = peewee.BooleanField()
    size = peewee.BigIntegerField(null=True)

    @classmethod
    def of(cls, session: Session) -> Query:
        return cls.select().where(cls.session == session)

    @classmethod
    def store(cls, session: Session, files: Iterable[dict[str, Any]]) -> tuple[int, int, str]:
        """Store the files. Returns the sums of `counted_lines` and `not_recorded_lines`, and the files' hash."""
        counted = not_recorded = 0
        digest = hashlib.sha256()
        common = {"session": session, "created_at": clock.now()}
        for batch in peewee.chunked(files, MAX_ROWS_PER_INSERT):
            counted += sum(file.pop("counted_lines") for file in batch)
            not_recorded += sum(file.pop("not_recorded_lines") for file in batch)
            for file in batch:
                _add_file(digest, file)
            cls.insert_many([file | common for file in batch]).execute()
        return counted, not_recorded, digest.hexdigest()

    @classmethod
    def stored_sha256(cls, session: Session) -> str:
        """Compute the hash of the stored files."""
        digest = hashlib.sha256()
        for row in batches.read_all(cls.of(session), cls.id, max_rows=10):
            _add_file(digest, {name: getattr(row, name) for name in _HASHED})
        return digest.hexdigest()


# Every column that `store` gets.
_HASHED = (
    *("path", "old_path", "status", "old_mode", "new_mode", "is_binary", "is_truncated"),
    *("lines_added", "lines_removed", "diff", "not_recorded_ranges", "is_too_large", "size"),
)


def _add_file(digest: Any, file: dict[str, Any]) -> None:
    digest.update(json.dumps([file.get(name) for name in _HASHED]).encode() + b"\n")
