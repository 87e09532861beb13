"""Candidates' personal data: inventory, retention and erasure.

Each table declares its `personal_data` (models/base.py). An erasure leaves the numbers.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial, reduce
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
from models.orgs import ApiToken, Organization
from models.sessions import (
    Consent,
    Derivation,
    Session,
    SigningKey,
    close_for_erasure,
    derive_before_lock,
    final_seals,
)
from models.sessions.client_reports import ClientReport
from models.sessions.model_usage import ModelUsage
from models.sessions.submissions import Submission, SubmissionFile
from models.task_failures import run_each
from rules import retention

log = logging.getLogger("proofstone.worker")

_SUBMISSION = (
    "format state size sha256 problem base_commit head_commit claimed_size claimed_sha256 repo_url base_sha file_tree "
    "diff"
)
_MODEL_CALL = (
    "provider model started_at ended_at status_code is_whole input_tokens output_tokens cache_read_tokens "
    "cache_write_tokens cost_nano_usd request_id tool agent_session first_token_ms is_recorded"
)


def personal_tables() -> list[Any]:
    """The tables with personal data, children before their parents."""
    return [table for table in reversed(tables()) if table.personal_data]


class Erasure(Model):
    """The receipt of an erasure. It is never deleted.

    `kind` is `reviewer` or `retention`; `counts` is the number of rows that changed, by PersonalData's name.
    """

    personal_data = None  # only ids and numbers
    organization = peewee.ForeignKeyField(Organization)
    key = peewee.ForeignKeyField(CandidateKey, unique=True)
    kind = peewee.TextField()
    reviewer = peewee.ForeignKeyField(ApiToken, null=True)
    session_id = peewee.UUIDField(null=True)
    counts = peewee.JSONField()


def derive_before_erasure(key: CandidateKey) -> Derivation | None:
    """Derive the metrics of a candidate's session before the transaction that erases its events, if they are due."""
    session = Session.get_or_none(Session.key == key)
    return derive_before_lock(session) if session else None


def erase(
    key: CandidateKey, reviewer: ApiToken | None = None, derivation: Derivation | None = None
) -> Erasure:
    """Erase a candidate's personal data atomically. Idempotent: returns the first receipt.

    The session is closed, and its metrics are stored, before its events are deleted.

    reviewer -- the token that requested it; None for the retention
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
        if session is not None:
            final_seals.renew(session, "erased", "erasure", "client")
        receipt = Erasure.create(key=key, kind=kind, reviewer=reviewer, counts=counts, **ids)
        payload = {"candidateId": key.id, "assessmentId": key.assessment_id}
        payload |= {"sessionId": receipt.session_id, "kind": kind}
        FeedEvent.publish(key.organization_id, "candidate.erased", payload)
        return receipt


def erase_overdue(organization: Organization, actor: audit.Actor, *, waits: bool = True) -> int:
    """Erase the data of candidates whose retention period has ended; returns how many.

    waits -- see run_each
    """
    return run_each("retention", overdue(organization), partial(_erase_overdue, actor), waits=waits)


def _erase_overdue(actor: audit.Actor, key: CandidateKey) -> int:
    derivation = derive_before_erasure(key)
    with db.atomic():
        erase(key, derivation=derivation)
        audit.AuditEntry.record(key.organization_id, "eraseCandidate", actor, "candidate", key.id)
    log.info("Erased the data of candidate %s: its retention period has ended.", key.id)
    return 1


class ErasedPages:
    """Remove erased data from SQLite's write-ahead log. For PostgreSQL's, see docs/privacy.md."""

    def __init__(self) -> None:
        self._cleared: Any = None

    def clear(self) -> None:
        """Empty the log if there was an erasure since it was last emptied; retry at the next call if it is in use."""
        if is_postgres():
            return
        latest = Erasure.select(peewee.fn.MAX(Erasure.id)).scalar()
        if latest != self._cleared and empty_write_ahead_log():
            self._cleared = latest


def stored_data(key: CandidateKey, session: Session | None) -> list[dict[str, Any]]:
    """The candidate's personal data by kind: `name`, `description`, `count`, `since` and `until`."""
    kinds = [_summary(table, key, session) for table in personal_tables() if table.personal_data.description]
    return [kind for kind in kinds if kind["count"]]


def _summary(table: Any, key: CandidateKey, session: Session | None) -> dict[str, Any]:
    kind = table.personal_data
    received_at = getattr(table, kind.received_at)
    summary = table.personal_rows(key, session).select(
        peewee.fn.COUNT(received_at).alias("count"),
        peewee.fn.MIN(received_at).alias("since"),
        peewee.fn.MAX(received_at).alias("until"),
    )
    return {"name": kind.name, "description": kind.description} | summary.dicts().get()


def consents(key: CandidateKey) -> list[Consent]:
    return list(Consent.personal_rows(key, None).order_by(Consent.created_at, Consent.id))


def submitted_data(session: Session) -> Iterator[tuple[str, dict[str, Any]]]:
    """The data from the candidate's client and the model calls, except events, as (kind, columns)."""
    # A report has up to 64 KiB and takes far more memory once it is parsed; a submission has up to 16 MiB.
    tables: tuple[tuple[str, Any, int, str], ...] = (
        ("signingKey", SigningKey, 10, "public_key"),
        ("clientReport", ClientReport, 10, "kind data"),
        ("submission", Submission, 1, _SUBMISSION),
        ("submissionFile", SubmissionFile, 10, "path old_path status lines_added lines_removed diff"),
        ("modelCall", ModelUsage, 100, _MODEL_CALL),
    )
    for kind, table, max_rows, names in tables:
        rows = table.personal_rows(session.key, session)
        for row in batches.read_all(rows, table.created_at, table.id, max_rows=max_rows):
            yield kind, {name: getattr(row, name) for name in (*names.split(), "created_at")}


def retained_until(key: CandidateKey, session: Session | None) -> datetime | None:
    """The time at which retention will erase the data; None without a retention period or an end, or once erased."""
    if key.erased_at is not None:
        return None
    return retention.retention_deadline(ended_at(key, session), (session or key).organization.retention_days)


def ended_at(key: CandidateKey, session: Session | None = None) -> Any:
    """The end of a key's session, or of the unused key: the start of the retention period."""
    session = session or Session.get_or_none(Session.key == key)
    return session.ended_at if session else key.ended_at


def overdue(organization: Organization) -> Query:
    """The keys whose retention period has ended, with their assessments."""
    query = CandidateKey.select(CandidateKey, Assessment).join(Assessment).switch(CandidateKey)
    query = query.join(Session, peewee.JOIN.LEFT_OUTER)
    if organization.retention_days is None:
        return query.where(peewee.Value(False))
    before = clock.now() - timedelta(days=organization.retention_days)
    has_ended = _session_has_ended(before) | _key_has_ended(before)
    query = query.where(CandidateKey.organization == organization, CandidateKey.erased_at.is_null())
    return query.where(has_ended).order_by(CandidateKey.id)


def _session_has_ended(before: datetime) -> peewee.Expression:
    # As Session.ended_at.
    columns = (Session.closed_at, Session.closes_at, CandidateKey.revoked_at, Assessment.deleted_at)
    ended_at = peewee.fn.COALESCE(*columns)
    return Session.id.is_null(False) & (ended_at <= Session.closed_at.db_value(before))


def _key_has_ended(before: datetime) -> peewee.Expression:
    # As CandidateKey.ended_at.
    columns = (CandidateKey.expires_at, CandidateKey.revoked_at, Assessment.deleted_at)
    return Session.id.is_null() & reduce(or_, [column <= before for column in columns])


class DailyTask(Model):
    """A task that a single worker runs once a day; `day` is the last day (UTC) on which it was claimed."""

    personal_data = None
    name = peewee.TextField(unique=True)
    day = peewee.TextField()

    @classmethod
    def claim(cls, name: str) -> bool:
        """Claim today's task; returns whether the caller must run it."""
        cls.insert(name=name, day="").on_conflict_ignore().execute()
        today = clock.now().date().isoformat()
        # A day in the future counts as well: the clock was wrong.
        return cls.update(day=today).where(cls.name == name, cls.day != today).execute() == 1
