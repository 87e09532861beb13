"""Sessions, and the consents that they require."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import peewee

from errors import Erased, KeyNotFound, NotRedeemed
from models import sql
from models.assessments import Assessment
from models.base import PersonalData, Query, TimestampField, clock, db, for_update, is_postgres
from models.fields import BigIntegerField, IntegerField, JSONField, TextField
from models.keys import CandidateKey
from models.ledger.protection import ProtectedModel
from models.orgs import Organization
from models.tasks.files import TaskFile
from rules import retention, session_close
from rules.workspace_files import hosted_url

METRIC_COLUMNS = (
    *("duration_ms", "prompt_count", "command_fail_rate", "verify_intensity"),
    *("manual_edit_ratio", "first_change_latency_ms", "tests_passed"),
    *("known_exit_code_count", "file_change_count", "attributed_change_count"),
)
# Sessions above either limit are expensive to read.
LARGE_BYTES, LARGE_EVENT_COUNT = 8 * 1024 * 1024, 20_000


class Consent(ProtectedModel):
    """A candidate's consent; version and hash are None if the client displayed its own disclosure (R28).

    `channels` are the channels that the disclosure names, or None (R38).
    """

    personal_data = None  # only the acceptance of a disclosure, and its time
    protected = ("key", "disclosure_version", "disclosure_hash", "channels", "created_at")
    parent = "key"
    session_link = ("key_id", "key_id")

    key = peewee.ForeignKeyField(CandidateKey)
    disclosure_version = TextField(null=True)
    disclosure_hash = TextField(null=True)
    channels = JSONField(null=True)

    @classmethod
    def exists_for(cls, key: CandidateKey, disclosure_hash: str | None) -> bool:
        """Return whether the candidate consented to this exact disclosure."""
        has_hash = (
            cls.disclosure_hash == disclosure_hash if disclosure_hash else cls.disclosure_hash.is_null()
        )
        return cls.select().where(cls.key == key, has_hash).exists()

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Any) -> Query:
        return cls.select().where(cls.key == key)

    @classmethod
    def record(
        cls,
        key: CandidateKey,
        version: str | None,
        disclosure_hash: str | None,
        channels: list[str] | None = None,
    ) -> None:
        """Record the consent. Idempotent."""
        with db.atomic():
            lock_key(key)
            if not cls.exists_for(key, disclosure_hash):
                columns = {"disclosure_version": version, "disclosure_hash": disclosure_hash}
                cls.create(key=key, channels=channels, **columns)


def lock_key(key: CandidateKey) -> None:
    """Lock the key's row. Raises KeyNotFound if it has been revoked."""
    query = CandidateKey.select(CandidateKey.id).where(CandidateKey.id == key.id)
    if for_update(query.where(CandidateKey.revoked_at.is_null())).get_or_none() is None:
        raise KeyNotFound()


class Session(ProtectedModel):
    """A candidate's work on an assessment, from redemption to close, with its metrics.

    `created_at` is the time of the redemption, `closes_at` the end of the time limit (None without a limit), and
    `closed_at` the recorded close. `task_read_at` is the first read of the task before the start (R50). Durations are
    in milliseconds, ratios in billionths (docs/metrics.md).
    `recorded_line_ratio` also depends on the submission (models/sessions/submissions/). `stored_event_count` and
    `stored_event_bytes` include the events up to `counted_seq`; `rejected_event_count` is the number of events beyond
    the quota until the close (models/sessions/quota.py). The ledger lists the events up to `listed_seq`. `score_total`
    and `score_highest` are in thousandths (models/scores.py). `integrity_codes` are the codes of the findings about
    version `checked_version` (models/ledger/integrity.py). `repository` is the task's repository at the start, and
    `repository_token` part of its URL. Results show the test run `hidden_run_id` (models/tasks/runs.py); `tests_due`
    is true until a run for the submission is queued.
    """

    personal_data = PersonalData("sessions", "Your session: start, end and metrics.")
    untracked_columns = frozenset(
        {
            *("redeem_allowed", "metrics_due", "stored_event_count", "stored_event_bytes", "counted_seq"),
            *("listed_seq", "rejected_event_count", "stored_bundle_bytes", "ledger_version"),
            *("integrity_checked_at", "checked_version", "checkpoint_position"),
            *("repository_token", "tests_due"),
        }
    )

    protected = (
        *("organization", "assessment", "key", "created_at", "closes_at", "closed_at", "closed_by"),
        *("completed_at", "hired_at", "tests_passed_count", "tests_failed_count", "tests_skipped_count"),
        *("derivation_version", "event_count", *METRIC_COLUMNS, "further_metrics", "recorded_line_ratio"),
        *("rejected_event_count", "task_read_at", "repository"),
    )
    session_link = ("id", "id")

    organization = peewee.ForeignKeyField(Organization, index=False)
    assessment = peewee.ForeignKeyField(Assessment, index=False)
    key = peewee.ForeignKeyField(CandidateKey, unique=True)
    closes_at = TimestampField(null=True)
    closed_at = TimestampField(null=True)
    closed_by = TextField(null=True)
    completed_at = TimestampField(null=True)
    hired_at = TimestampField(null=True)
    redeem_allowed = peewee.BooleanField(default=False)
    tests_passed_count = IntegerField(null=True)
    tests_failed_count = IntegerField(null=True)
    tests_skipped_count = IntegerField(null=True)
    tests_note = TextField(null=True)
    metrics_due = peewee.BooleanField(default=False)
    derivation_version = IntegerField(null=True)
    event_count = IntegerField(null=True)
    duration_ms = BigIntegerField(null=True)
    prompt_count = BigIntegerField(null=True)
    command_fail_rate = BigIntegerField(null=True)
    verify_intensity = BigIntegerField(null=True)
    manual_edit_ratio = BigIntegerField(null=True)
    first_change_latency_ms = BigIntegerField(null=True)
    tests_passed = peewee.BooleanField(null=True)
    known_exit_code_count = IntegerField(null=True)
    file_change_count = IntegerField(null=True)
    attributed_change_count = IntegerField(null=True)
    further_metrics = JSONField(null=True)
    recorded_line_ratio = BigIntegerField(null=True)
    stored_event_count = IntegerField(default=0)
    stored_event_bytes = BigIntegerField(default=0)
    counted_seq = BigIntegerField(default=0)
    rejected_event_count = IntegerField(default=0)
    stored_bundle_bytes = BigIntegerField(default=0)
    listed_seq = BigIntegerField(default=0)
    score_total = BigIntegerField(null=True)
    score_highest = BigIntegerField(null=True)
    score_spread = BigIntegerField(null=True)
    score_criteria = JSONField(null=True)
    has_disagreement = peewee.BooleanField(default=False)
    score_reviewers = IntegerField(null=True)
    score_independent = peewee.BooleanField(null=True)
    integrity_codes = JSONField(null=True)
    integrity_checked_at = TimestampField(null=True)
    checked_version = IntegerField(default=0)
    checkpoint_position = BigIntegerField(null=True)
    task_read_at = TimestampField(null=True)
    repository = peewee.ForeignKeyField(TaskFile, null=True)
    repository_token = TextField(null=True, unique=True)
    tests_due = peewee.BooleanField(default=False)
    hidden_run_id = peewee.UUIDField(null=True)
    updated_at = TimestampField(null=True)

    @classmethod
    def visible_to(cls, caller: Any) -> Query:
        """Select the organization's sessions, without deleted assessments; for a candidate, their own session (R3)."""
        query = cls.select(cls, CandidateKey, Assessment, Organization).join(CandidateKey)
        query = query.switch(cls).join(Assessment).switch(cls).join(Organization)
        is_candidate = isinstance(caller, CandidateKey)
        is_visible = cls.key == caller.id if is_candidate else cls.organization == caller.organization_id
        return query.where(Assessment.deleted_at.is_null(), is_visible)

    @classmethod
    def get_for_key(cls, key: CandidateKey) -> "Session":
        """Return the key's session. Raises NotRedeemed (R29)."""
        rows = sql.rows(sql.SESSION_OF_KEY.format(session=_ALL.text), key_id=key.id)
        if not rows:
            raise NotRedeemed()
        return _ALL.build(rows[0])

    @classmethod
    def find_by_repository(cls, token: str) -> "Session | None":
        """Return the open session whose repository has this token, or None."""
        query = cls.select(cls, TaskFile).join(TaskFile).switch(cls).join(CandidateKey).switch(cls)
        alive = (CandidateKey.revoked_at, CandidateKey.erased_at, Assessment.deleted_at)
        query = query.join(Assessment).where(*(column.is_null() for column in alive))
        session = query.where(cls.repository_token == token).get_or_none()
        return None if session is None or session.closed_as_of(clock.now()) else session

    @classmethod
    def is_large(cls, condition: Any) -> bool:
        """Return whether any session that matches the condition exceeds LARGE_BYTES or LARGE_EVENT_COUNT."""
        content = cls.stored_event_bytes + cls.stored_bundle_bytes
        is_large = (content > LARGE_BYTES) | (cls.stored_event_count > LARGE_EVENT_COUNT)
        return cls.select(cls.id).where(condition, is_large).exists()

    @classmethod
    def protected_values(cls, values: dict[str, Any]) -> dict[str, Any]:
        # Counted without an entry until the close.
        return values if values["closed_at"] is not None else values | {"rejected_event_count": None}

    @property
    def redeemed_at(self) -> datetime:
        return self.created_at

    @classmethod
    def changed_after(cls, organization: Any, time: datetime | None) -> Any:
        """Select the ids of the sessions that started or changed after a time."""
        ids = cls.select(cls.id).where(cls.organization == organization)
        return ids.where(cls.created_at > time).union_all(ids.where(cls.updated_at > time))

    @property
    def candidate_id(self) -> Any:
        return self.key_id

    @property
    def repo_commit(self) -> str | None:
        """The commit that the work starts from, or None."""
        return self.repository.commit_id if self.repository else self.assessment.repo_commit

    def get_repo_url(self, base_url: str) -> str | None:
        return hosted_url(base_url, self.repository_token) or self.assessment.repo_url

    @property
    def ids(self) -> dict[str, Any]:
        """The session's ids by their names in feed events."""
        return {"sessionId": self.id, "candidateId": self.key_id, "assessmentId": self.assessment_id}

    def closed_as_of(self, now: datetime) -> datetime | None:
        """Return when the session closed, even if the close is not recorded yet; None if it is open."""
        return session_close.effective_close(now, self.closed_at, self.closes_at)

    def is_due(self, now: datetime) -> bool:
        """Return whether the close by the time limit or the metrics are due, like `models.sql.DUE_TO_CLOSE`."""
        if self.closed_at is None:
            return self.closed_as_of(now) is not None
        return self.metrics_due

    @property
    def tests_passed_source(self) -> str | None:
        """The source of `tests_passed` (R51)."""
        if self.tests_passed is None:
            return None
        return "candidate" if self.tests_passed_count is None else "team"

    @property
    def ended_at(self) -> datetime | None:
        """Time when the session closed; without a time limit, when the key was revoked or the assessment deleted."""
        return self.closed_at or self.closes_at or self.key.revoked_at or self.assessment.deleted_at

    def is_erased_when_locked(self) -> bool:
        """Return whether the candidate's data was erased, and prevent an erasure until the transaction ends."""
        lock = "FOR SHARE" if is_postgres() else ""
        sql.rows(sql.LOCKED_SESSION.format(lock=lock), session_id=self.id)
        return self.is_erased

    def lock_unless_erased(self) -> "Session":
        """Like `lock`, but raises Erased if the candidate's data was erased."""
        locked = self.lock()
        if self.is_erased:
            raise Erased()
        return locked

    def columns(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names}

    @property
    def is_erased(self) -> bool:
        erased = CandidateKey.erased_at.is_null(False)
        return CandidateKey.select().where(CandidateKey.id == self.key_id, erased).exists()

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: "Session | None") -> Query:
        return cls.select().where(cls.key == key)

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: "Session | None") -> int:
        """Remove the reviewer's note, the first read of the task and the names in the metrics, but not the numbers."""
        if session is None:
            return 0
        further = session.further_metrics and retention.anonymize_metrics(session.further_metrics)
        columns = {"tests_note": None, "task_read_at": None, "further_metrics": further}
        session.record_change("erased", **columns, updated_at=clock.now())
        return 1


_ALL = sql.Columns(Session, "s")
