"""What is held of a candidate, until when, and how it goes: on a reviewer's word, or when the retention is over.

A table that holds something of a person stands in PARTS, and says which of its rows are about a candidate
(`of_person`) and how what is personal in them goes (`erase_of`). The numbers stay, without a person.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import peewee

from models.assessments import Assessment
from models.base import Model, Query, clock, db
from models.deliveries import Delivery
from models.feed import FeedEvent
from models.idempotency import IdempotentRequest
from models.keys import CandidateKey
from models.orgs import ApiToken, Organization
from models.scores import Score
from models.seals import Seal
from models.sessions import Consent, Event, Session, SigningKey, close, settle
from models.submissions import BundleUpload, ClientReport, Submission
from models.webhooks import WebhookDelivery
from rules import retention


class Part(NamedTuple):
    """One kind of what is held.

    name -- what it is called in receipts, and towards candidates
    model -- its table, with `of_person(key, session)`, a query, and `erase_of(key, session)`, how many rows it changed;
        the session is None for a key that was not redeemed
    told -- what it is, for the candidate; None for what is not theirs to see (R3)
    came_at -- the column that says when a row came
    """

    name: str
    model: Any
    told: str | None
    came_at: peewee.Field


# In this order they go.
PARTS = (
    Part(
        "events",
        Event,
        "What your tools and the editor reported while you worked: prompts, answers, commands, changes.",
        Event.received_at,
    ),
    Part("seals", Seal, None, Seal.created_at),
    Part("signingKeys", SigningKey, "Public keys that your client signed with.", SigningKey.created_at),
    Part(
        "clientReports",
        ClientReport,
        "What your client told of your computer and your workspace.",
        ClientReport.created_at,
    ),
    Part("submissions", Submission, "What you submitted: changes and names of files.", Submission.created_at),
    Part(
        "uploads",
        BundleUpload,
        "Bundles of your workspace, or places that were made for them.",
        BundleUpload.created_at,
    ),
    Part("scores", Score, None, Score.created_at),
    Part("messages", Delivery, "Invitations that were sent to you.", Delivery.created_at),
    Part(
        "answers",
        IdempotentRequest,
        "For a day, the answer to whoever invited you, in case that it got lost on the way.",
        IdempotentRequest.created_at,
    ),
    Part(
        "webhookDeliveries",
        WebhookDelivery,
        "Messages about you to other systems of whoever invited you.",
        WebhookDelivery.created_at,
    ),
    Part(
        "sessions", Session, "The session: when it began and ended, and numbers about it.", Session.created_at
    ),
    Part(
        "keys",
        CandidateKey,
        "Your invitation, with name and address if they were given.",
        CandidateKey.created_at,
    ),
)


class Erasure(Model):
    """The receipt of an erasure; it stays.

    `kind` is `reviewer` or `retention`; `counts` says of how many rows something went, by the names of PARTS.
    """

    key_id: Any
    organization = peewee.ForeignKeyField(Organization)
    key = peewee.ForeignKeyField(CandidateKey, unique=True)
    kind = peewee.TextField()
    reviewer = peewee.ForeignKeyField(ApiToken, null=True)
    session_id = peewee.UUIDField(null=True)
    counts = peewee.JSONField()

    class Meta:
        table_name = "erasures"


def erase(key: CandidateKey, reviewer: ApiToken | None = None) -> Erasure:
    """Erase what is held of a candidate, all of it or nothing; a second time answers the first receipt.

    The session is closed, and its numbers are derived, before its events go. `reviewer` is who wants it; None for
    the retention.
    """
    with db.atomic():
        key = key.lock()
        receipt = Erasure.get_or_none(Erasure.key == key)
        if receipt is not None:
            return receipt
        session = _settled(key)
        receipt = Erasure.create(
            organization=key.organization_id,
            key=key,
            kind="retention" if reviewer is None else "reviewer",
            reviewer=reviewer,
            session_id=session and session.id,
            counts={part.name: part.model.erase_of(key, session) for part in PARTS},
        )
        FeedEvent.publish(key.organization_id, "candidate.erased", _told(key, receipt))
        return receipt


def _told(key: CandidateKey, receipt: Erasure) -> dict[str, Any]:
    return {
        "candidateId": key.id,
        "assessmentId": key.assessment_id,
        "sessionId": receipt.session_id,
        "kind": receipt.kind,
    }


def _settled(key: CandidateKey) -> Session | None:
    session = Session.get_or_none(Session.key == key)
    if session is None:
        return None
    close(session)
    settle(session)
    return Session.get_by_id(session.id)


# What a candidate is told


def held(key: CandidateKey, session: Session | None) -> list[dict[str, Any]]:
    """`name`, `description`, `count`, `since` and `until` of each kind of which something is held and the candidate
    may know."""
    told = [_held(part, key, session) for part in PARTS if part.told is not None]
    return [found for found in told if found["count"]]


def _held(part: Part, key: CandidateKey, session: Session | None) -> dict[str, Any]:
    found: Any = part.model.of_person(key, session).select(
        peewee.fn.COUNT(part.came_at).alias("count"),
        peewee.fn.MIN(part.came_at).alias("since"),
        peewee.fn.MAX(part.came_at).alias("until"),
    )
    return {"name": part.name, "description": part.told} | found.dicts().get()


def consents(key: CandidateKey) -> Query:
    return Consent.of_person(key, None).order_by(Consent.created_at, Consent.id)


def handed_in(session: Session) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the candidate's client handed in besides events, as (what it is, its members as the API spells them)."""
    for signing_key in SigningKey.of_person(session.key, session).order_by(SigningKey.id):
        row = {"publicKey": signing_key.public_key, "createdAt": signing_key.created_at}
        yield "signingKey", row
    for report in ClientReport.of(session):
        yield "clientReport", {"kind": report.kind, "data": report.data, "createdAt": report.created_at}
    for submission in Submission.of_person(session.key, session).order_by(Submission.id):
        yield "submission", _submission(submission)


def _submission(submission: Submission) -> dict[str, Any]:
    return {
        "verdict": submission.verdict,
        "bundleSize": submission.bundle_size,
        "bundleSha256": submission.bundle_sha256,
        "repoUrl": submission.repo_url,
        "baseSha": submission.base_sha,
        "fileTree": submission.file_tree,
        "diff": submission.diff,
        "createdAt": submission.created_at,
    }


def retained_until(key: CandidateKey, session: Session | None) -> datetime | None:
    """When the retention takes it away, as things stand; None without a retention, an end, or anything left."""
    if key.erased_at is not None:
        return None
    return retention.retention_deadline(_ended_at(key, session), (session or key).organization.retention_days)


# Retention


def ended_at(key: CandidateKey) -> datetime:
    """When the session of an overdue key ended, or the key where there is none: the retention began."""
    found = _ended_at(key, Session.get_or_none(Session.key == key))
    assert found is not None
    return found


def _ended_at(key: CandidateKey, session: Session | None) -> datetime | None:
    return key.ended_at if session is None else session.ended_at


def overdue(organization: Organization) -> Query:
    """Keys with their assessments, whose retention is over."""
    query = CandidateKey.select(CandidateKey, Assessment).join(Assessment).switch(CandidateKey)
    query = query.join(Session, peewee.JOIN.LEFT_OUTER)
    if organization.retention_days is None:
        return query.where(peewee.Value(False))
    before = clock.now() - timedelta(days=organization.retention_days)
    return query.where(
        CandidateKey.organization == organization,
        CandidateKey.erased_at.is_null(),
        _session_ended(before) | _key_ended(before),
    ).order_by(CandidateKey.id)


def _session_ended(before: datetime) -> peewee.Expression:
    # As Session.ended_at: the first of these that is known.
    ended_at = peewee.fn.COALESCE(
        Session.closed_at, Session.closes_at, CandidateKey.revoked_at, Assessment.deleted_at
    )
    return Session.id.is_null(False) & (ended_at <= Session.closed_at.db_value(before))


def _key_ended(before: datetime) -> peewee.Expression:
    # As CandidateKey.ended_at: any of these is enough.
    ended = CandidateKey.expires_at <= before
    ended |= CandidateKey.revoked_at <= before
    ended |= Assessment.deleted_at <= before
    return Session.id.is_null() & ended


class DailyTask(Model):
    """Something that is done once a day, whatever the number of workers; `day` is the last one (UTC) on which one
    took it."""

    name = peewee.TextField(unique=True)
    day = peewee.TextField()

    class Meta:
        table_name = "daily_tasks"

    @classmethod
    def take(cls, name: str) -> bool:
        """Whether it is the caller's to do today."""
        cls.insert(name=name, day="").on_conflict_ignore().execute()
        today = clock.now().date().isoformat()
        # A day to come is one too: the clock was wrong then, and nothing may wait until it is right.
        return cls.update(day=today).where(cls.name == name, cls.day != today).execute() == 1
