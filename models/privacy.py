"""Candidates' personal data: inventory, retention and erasure.

Each table declares its `personal_data` (models/base.py). An erasure does not change statistics.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

import peewee

from models import batches
from models.assessments import Assessment
from models.base import Model, Query, clock, db, is_postgres, tables
from models.database import empty_write_ahead_log
from models.feed import FeedEvent
from models.keys import CandidateKey
from models.ledger import audit
from models.ledger.protection import ProtectedModel, append_erasure
from models.orgs import ApiToken, Organization
from models.sessions import Consent, Derivation, Session, SigningKey, close_for_erasure, derive_before_lock
from models.sessions.client_reports import ClientReport
from models.sessions.model_usage import ModelUsage
from models.sessions.submissions import Submission, SubmissionFile
from models.task_failures import run_each
from rules import retention

log = logging.getLogger("proofstone.worker")

_SUBMISSION_FILE = "path old_path status lines_added lines_removed diff is_too_large size"
_SUBMISSION = (
    "format state size sha256 problem base_commit head_commit claimed_size claimed_sha256 repo_url base_sha file_tree "
    "diff"
)
_MODEL_CALL = (
    "provider model started_at ended_at status_code is_whole input_tokens output_tokens cache_read_tokens "
    "cache_write_tokens cache_write_1h_tokens cost_nano_usd request_id tool agent_session first_token_ms is_recorded"
)


def personal_tables() -> list[Any]:
    """Return the tables with personal data, children before parents."""
    return [table for table in reversed(tables()) if table.personal_data]


class Erasure(ProtectedModel):
    """The receipt of an erasure. It is never deleted.

    `kind` is `reviewer` or `retention`. `counts` contains the number of changed rows by PersonalData name.
    """

    personal_data = None  # only ids and numbers
    protected = ("organization", "key", "kind", "reviewer", "session_id", "counts", "created_at")
    session_link = ("key_id", "key_id")

    organization = peewee.ForeignKeyField(Organization)
    key = peewee.ForeignKeyField(CandidateKey, unique=True)
    kind = peewee.TextField()
    reviewer = peewee.ForeignKeyField(ApiToken, null=True)
    session_id = peewee.UUIDField(null=True)
    counts = peewee.JSONField()


def derive_before_erasure(key: CandidateKey) -> Derivation | None:
    """Derive the session's metrics, if due, before the transaction that erases its events."""
    session = Session.get_or_none(Session.key == key)
    return derive_before_lock(session) if session else None


def erase(
    key: CandidateKey, reviewer: ApiToken | None = None, derivation: Derivation | None = None
) -> Erasure:
    """Erase a candidate's personal data atomically. Idempotent: returns the first receipt.

    Closes the session and stores its metrics before its events are deleted.

    reviewer -- the token that requested the erasure; None for retention
    derivation -- from `derive_before_erasure`
    """
    with db.atomic():
        key = key.lock()
        receipt = Erasure.get_or_none(Erasure.key == key)
        if receipt is not None:
            return receipt
        session = Session.get_or_none(Session.key == key)
        if session is not None:
            session = close_for_erasure(session, derivation)
        ids = {"organization": key.organization_id, "session_id": session and session.id}
        kind = "retention" if reviewer is None else "reviewer"
        tables = personal_tables()
        counts = {table.personal_data.name: table.erase_personal_data(key, session) for table in tables}
        append_erasure(key.owner)
        receipt = Erasure.create(key=key, kind=kind, reviewer=reviewer, counts=counts, **ids)
        payload = {"candidateId": key.id, "assessmentId": key.assessment_id}
        payload |= {"sessionId": receipt.session_id, "kind": kind}
        FeedEvent.publish(key.organization_id, "candidate.erased", payload)
        return receipt


def name_copies(key: CandidateKey) -> list[str]:
    """Name the systems that keep copies of a candidate's data, which an erasure does not reach."""
    return [name for table in personal_tables() if table.name_copies for name in table.name_copies(key)]


def erase_overdue(organization: Organization, actor: audit.Actor, *, waits: bool = True) -> int:
    """Erase the data of candidates whose retention period has ended. Returns how many.

    waits -- see run_each
    """

    def run(key: CandidateKey) -> int:
        # The key can have been reopened, or the period changed, since the query.
        current = Organization.get_by_id(organization.id)
        if not overdue(current).where(CandidateKey.id == key.id).exists():
            return 0
        derivation = derive_before_erasure(key)
        with db.atomic():
            erase(key, derivation=derivation)
            audit.AuditEntry.record(key.organization_id, "eraseCandidate", actor, "candidate", key.id)
        log.info("Erased the data of candidate %s: its retention period has ended.", key.id)
        return 1

    return run_each("retention", overdue(organization), run, waits=waits)


class ErasedPages:
    """Removes erased data from SQLite's write-ahead log. For PostgreSQL, see docs/privacy.md."""

    def __init__(self) -> None:
        self._cleared: Any = None

    def clear(self) -> None:
        """Empty the log if data was erased since the last call. Retries on the next call if the log is in use."""
        if is_postgres():
            return
        latest = Erasure.select(peewee.fn.MAX(Erasure.id)).scalar()
        if latest != self._cleared and empty_write_ahead_log():
            self._cleared = latest


def stored_data(key: CandidateKey, session: Session | None) -> list[dict[str, Any]]:
    """Summarize the candidate's personal data by kind: `name`, `description`, `count`, `since` and `until`."""
    kinds = []
    for table in personal_tables():
        kind = table.personal_data
        received_at = getattr(table, kind.received_at)
        summary = table.personal_rows(key, session).select(
            peewee.fn.COUNT(received_at).alias("count"),
            peewee.fn.MIN(received_at).alias("since"),
            peewee.fn.MAX(received_at).alias("until"),
        )
        if kind.description and (row := summary.dicts().get())["count"]:
            kinds.append({"name": kind.name, "description": kind.description} | row)
    return kinds


def consents(key: CandidateKey) -> list[Consent]:
    return list(Consent.personal_rows(key, None).order_by(Consent.created_at, Consent.id))


def submitted_data(session: Session) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the data from the candidate's client, except events, and the model calls, as (kind, columns)."""
    # Parsed reports take far more memory than their 64 KiB. A submission has up to 16 MiB.
    tables: tuple[tuple[str, Any, int, str], ...] = (
        ("signingKey", SigningKey, 10, "public_key"),
        ("clientReport", ClientReport, 10, "kind data"),
        ("submission", Submission, 1, _SUBMISSION),
        ("submissionFile", SubmissionFile, 10, _SUBMISSION_FILE),
        ("modelCall", ModelUsage, 100, _MODEL_CALL),
    )
    for kind, table, max_rows, names in tables:
        rows = table.personal_rows(session.key, session)
        for row in batches.read_all(rows, table.created_at, table.id, max_rows=max_rows):
            yield kind, {name: getattr(row, name) for name in (*names.split(), "created_at")}


def retained_until(key: CandidateKey, session: Session | None) -> datetime | None:
    """Return when the data will be erased by retention; None if it will not be, or already has been."""
    if key.erased_at is not None:
        return None
    return retention.retention_deadline(ended_at(key, session), (session or key).organization.retention_days)


def ended_at(key: CandidateKey, session: Session | None = None) -> Any:
    """Return the start of the retention period: the end of the session, or of the unredeemed key."""
    session = session or Session.get_or_none(Session.key == key)
    return session.ended_at if session else key.ended_at


def overdue(organization: Organization) -> Query:
    """Select keys whose retention period has ended, with their assessments."""
    query = CandidateKey.select(CandidateKey, Assessment).join(Assessment).switch(CandidateKey)
    query = query.join(Session, peewee.JOIN.LEFT_OUTER)
    if organization.retention_days is None:
        return query.where(peewee.Value(False))
    before = clock.now() - timedelta(days=organization.retention_days)
    # The same rules as Session.ended_at and CandidateKey.ended_at.
    key_ends = (CandidateKey.expires_at, CandidateKey.revoked_at, Assessment.deleted_at)
    session_end = peewee.fn.COALESCE(Session.closed_at, Session.closes_at, *key_ends[1:])
    session_has_ended = Session.id.is_null(False) & (session_end <= Session.closed_at.db_value(before))
    key_has_ended = Session.id.is_null() & reduce(or_, [column <= before for column in key_ends])
    query = query.where(CandidateKey.organization == organization, CandidateKey.erased_at.is_null())
    return query.where(session_has_ended | key_has_ended).order_by(CandidateKey.id)


class DailyTask(Model):
    """A task that one worker runs once a day. `day` is the UTC day of the last claim."""

    personal_data = None
    name = peewee.TextField(unique=True)
    day = peewee.TextField()

    @classmethod
    def claim(cls, name: str) -> bool:
        """Claim today's task. Returns whether the caller must run it."""
        cls.insert(name=name, day="").on_conflict_ignore().execute()
        today = clock.now().date().isoformat()
        # `!=`, because a clock that was ahead can have stored a future day.
        return cls.update(day=today).where(cls.name == name, cls.day != today).execute() == 1
