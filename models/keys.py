"""Candidate keys: each gives one candidate access to one assessment."""

from datetime import datetime
from typing import Any, NamedTuple

import peewee

from models import sql
from models.assessments import Assessment
from models.base import PersonalData, Query, TimestampField, case_folded, clock, db
from models.feed import FeedEvent
from models.ledger.protection import Owner, ProtectedModel
from models.orgs import ApiToken, Organization
from rules import candidate_keys, session_close
from rules.workspace_files import hosted_url


class AssessmentRow(NamedTuple):
    """The assessment columns that candidates see, and their session's; schemas.assessments serializes them."""

    id: Any
    organization_id: Any
    title: str
    role: str
    task_brief: str
    repo_url: str | None
    issue_id: Any
    rubric_id: Any
    time_limit_minutes: int | None
    expires_in_days: int
    created_at: Any
    updated_at: Any
    repository_token: str | None

    def get_repo_url(self, base_url: str) -> str | None:
        return hosted_url(base_url, self.repository_token) or self.repo_url


class CandidateKey(ProtectedModel):
    """A candidate's key to one assessment.

    `address` is the case-folded email address. An accommodation is `extra_minutes` or `time_multiplier_thousandths`.
    `invitation_data` is the `data` of its emails. `invitation_id` is the latest invitation's delivery. `reminded_at` is
    when the reminder for the current expiry was queued, or of an email that was sent when it was due already.
    `task_read_at` is the first read of the task with the key, or the start (R50). `erasure_dismissal` is the reason for
    dismissing the last erasure request. `bounced` stops emails to the address. `decision` is one of
    rules/statistics/fairness.py. Results are sorted by `sort_name`, the case-folded name.
    """

    personal_data = PersonalData("keys", "Your invitation, with your name, email address and ID if provided.")

    protected = (
        *("organization", "assessment", "key", "created_at", "extra_minutes", "time_multiplier_thousandths"),
        *("decision", "decision_reason", "decided_at", "decided_by", "erased_at", "decision_finding_reason"),
    )
    session_link = ("id", "key_id")
    # Keys are generated in bulk, without entries.
    unrecorded = {"decision": "undecided"} | dict.fromkeys(
        (
            *("decision_reason", "decided_at", "decided_by", "erased_at", "decision_finding_reason"),
            *("extra_minutes", "time_multiplier_thousandths"),
        )
    )
    untracked_columns = frozenset({"reminded_at", "task_read_at", "bounced", "ledger_version"})
    # The key's sessions, a Peewee query.
    session_set: Any
    # The assessment's columns as AssessmentRow; set by `find`.
    assessment_row: Any = None
    organization = peewee.ForeignKeyField(Organization, index=False)
    assessment = peewee.ForeignKeyField(Assessment, index=False)
    key = peewee.TextField(unique=True)
    candidate_email = peewee.TextField(null=True)
    candidate_name = peewee.TextField(null=True)
    address = peewee.TextField(null=True)
    search_text = peewee.TextField(default="")
    sort_name = peewee.TextField(null=True)
    external_id = peewee.TextField(null=True)
    metadata = peewee.JSONField(null=True)
    extra_minutes = peewee.IntegerField(null=True)
    time_multiplier_thousandths = peewee.IntegerField(null=True)
    invitation_data = peewee.JSONField(null=True)
    invitation_id = peewee.UUIDField(null=True)
    bounced = peewee.BooleanField(default=False)
    reminded_at = TimestampField(null=True)
    task_read_at = TimestampField(null=True)
    expires_at = TimestampField()
    revoked_at = TimestampField(null=True)
    erasure_requested_at = TimestampField(null=True)
    erasure_dismissal = peewee.TextField(null=True)
    erased_at = TimestampField(null=True)
    decision = peewee.TextField(default="undecided")
    decision_reason = peewee.TextField(null=True)
    decided_at = TimestampField(null=True)
    decided_by = peewee.ForeignKeyField(ApiToken, null=True, index=False)
    decision_finding_reason = peewee.TextField(null=True)
    updated_at = TimestampField(null=True)

    @property
    def owner(self) -> Owner:
        return Owner(self.organization_id, self.id)

    @classmethod
    def find(cls, text: str) -> "CandidateKey | None":
        """Find a key. Returns None if it is unknown or revoked, or if its assessment was deleted.

        Loads only the columns that callers use.
        """
        key = candidate_keys.normalize(text)
        rows = sql.rows(sql.prepare(_CANDIDATE_KEY), key=key) if key else []
        if not rows:
            return None
        row = _KEY.build(rows[0][: len(_KEY)])
        row.assessment_row = AssessmentRow(*rows[0][len(_KEY) :])
        return row

    @property
    def is_usable(self) -> bool:
        """True if a key returned by `find` authenticates: it has not expired, or was redeemed (R4)."""
        return self.expires_at > clock.now() or self.session_set.exists()

    @property
    def status(self) -> str:
        """The candidate's current status (R17)."""
        ((status,),) = sql.rows(sql.STATUS_OF_KEY, key_id=self.id, now=clock.now())
        return status

    @property
    def status_for_candidate(self) -> str:
        """The status without a hiring decision, which candidates do not see."""
        if (status := self.status) != "hired":
            return status
        return "completed" if self.session_set.get().completed_at else "expired"

    @classmethod
    def alive(cls) -> Query:
        """Select unrevoked keys, without deleted assessments."""
        return cls.with_parents().where(cls.revoked_at.is_null(), Assessment.deleted_at.is_null())

    @classmethod
    def can_be_decided(cls) -> Any:
        """Return SQL for candidates without a decision, except revoked ones."""
        return (cls.decision == "undecided") & cls.revoked_at.is_null()

    @classmethod
    def with_parents(cls) -> Query:
        """Select keys with their assessments and organizations."""
        return cls.select(cls, Assessment, Organization).join(Assessment).switch(cls).join(Organization)

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        return cls.alive().where(cls.organization == caller.organization_id)

    @classmethod
    def all_visible_to(cls, caller: ApiToken) -> Query:
        """Select all keys, including revoked keys and keys of deleted assessments."""
        return cls.with_parents().where(cls.organization == caller.organization_id)

    @staticmethod
    def identity(name: str | None, email: str | None, external_id: str | None = None) -> dict[str, Any]:
        """Build the columns that identify the candidate."""
        columns = {"candidate_name": name, "candidate_email": email, "external_id": external_id}
        columns |= {"search_text": case_folded(name, email, external_id)}
        return columns | {"sort_name": name and name.casefold(), "address": email and email.casefold()}

    def revoke(self) -> None:
        """Revoke the key. Raises NotFound if it is already revoked."""
        with db.atomic():
            self.set_once("revoked_at")
            self._publish("key.revoked")

    def _publish(self, event_type: str) -> None:
        payload = {"candidateId": self.id, "assessmentId": self.assessment_id, "status": self.status}
        FeedEvent.publish(self.organization_id, event_type, payload)

    @property
    def time_limit_minutes(self) -> int | None:
        """The assessment's time limit, including the candidate's accommodation."""
        limit = self.assessment.time_limit_minutes
        return None if limit is None else limit + self.added_minutes

    @property
    def added_minutes(self) -> int:
        limit = self.assessment.time_limit_minutes
        return session_close.extra_minutes(limit, self.extra_minutes, self.time_multiplier_thousandths)

    @property
    def ended_at(self) -> datetime | None:
        """Time when an unredeemed key expired or was revoked, or its assessment was deleted."""
        times = (self.expires_at, self.revoked_at, self.assessment.deleted_at)
        return min(filter(None, times), default=None)

    def record_task_read(self) -> None:
        """Set `task_read_at`, unless it is already set or the key was erased."""
        is_unread = CandidateKey.task_read_at.is_null() & CandidateKey.erased_at.is_null()
        CandidateKey.update(task_read_at=clock.now()).where(CandidateKey.id == self.id, is_unread).execute()

    def request_erasure(self) -> datetime:
        """Record the candidate's erasure request. Returns the time of the first request."""
        now = clock.now()
        update = CandidateKey.update(erasure_requested_at=now, erasure_dismissal=None, updated_at=now)
        with db.atomic():
            if update.where(
                CandidateKey.id == self.id, CandidateKey.erasure_requested_at.is_null()
            ).execute():
                self._publish("candidate.erasure_requested")
        return CandidateKey.get_by_id(self.id).erasure_requested_at

    def dismiss_erasure_request(self, reason: str) -> None:
        """Dismiss the pending erasure request, if any, for a reason that the candidate sees."""
        update = CandidateKey.update(
            erasure_requested_at=None, erasure_dismissal=reason, updated_at=clock.now()
        )
        is_pending = CandidateKey.erasure_requested_at.is_null(False) & CandidateKey.erased_at.is_null()
        update.where(CandidateKey.id == self.id, is_pending).execute()

    @classmethod
    def personal_rows(cls, key: "CandidateKey", session: Any) -> Query:
        return cls.select().where(cls.id == key.id)

    @classmethod
    def erase_personal_data(cls, key: "CandidateKey", session: Any) -> int:
        """Remove name, email and other personal data, and revoke the locked key."""
        now = clock.now()
        names = (
            *("invitation_data", "metadata", "decision_reason", "decision_finding_reason"),
            *("extra_minutes", "time_multiplier_thousandths", "erasure_dismissal"),
        )
        columns = cls.identity(None, None) | dict.fromkeys(names)
        columns |= {"revoked_at": key.revoked_at or now, "erased_at": now, "task_read_at": None}
        return key.record_change("erased", **columns)


_KEY_COLUMNS = (
    "id organization assessment key candidate_name candidate_email expires_at erasure_requested_at "
    "erasure_dismissal task_read_at"
)
_KEY = sql.Columns(CandidateKey, "k", _KEY_COLUMNS)
_CANDIDATE_KEY = sql.CANDIDATE_KEY.format(key=_KEY.text)
