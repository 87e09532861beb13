"""Assignments of sessions to reviewers."""

import random
from collections import Counter
from contextlib import suppress
from datetime import datetime
from typing import Any

import peewee

from errors import NoRubric, NotFound, invalid
from models.assessments import Assessment
from models.base import Query, TimestampField, clock, db
from models.deliveries import ASSIGNMENT, outbox
from models.keys import CandidateKey
from models.ledger.protection import ProtectedModel
from models.orgs import ApiToken, User
from models.scores import CompletedScoring
from models.sessions import Session
from rules.assignments import distribute
from rules.timestamps import format_timestamp

# Each one is a ledger entry. More would block the organization's, and on SQLite all, writes for too long.
MAX_ASSIGNMENTS = 2000


class Assignment(ProtectedModel):
    """A session assigned to a user to score, by `due_at` if it is set, until `removed_at`."""

    personal_data = None
    protected = ("session", "user", "assigned_by", "due_at", "removed_at", "created_at")
    parent = "session"
    session_link = ("session_id", "id")

    user_id: Any
    session = peewee.ForeignKeyField(Session)
    user = peewee.ForeignKeyField(User)
    assigned_by = peewee.ForeignKeyField(ApiToken)
    due_at = TimestampField(null=True)
    removed_at = TimestampField(null=True)

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        sessions = Session.visible_to(caller).select(Session.id)
        return cls.select().where(cls.session.in_(sessions), cls.removed_at.is_null())

    @classmethod
    def of(cls, assessment: Assessment) -> Query:
        """Select an assessment's assignments with their users, oldest first.

        `scored` is true once the user has scored the session; `open` is true while the score is still needed.
        """
        is_theirs = (CompletedScoring.session == cls.session) & (CompletedScoring.user == cls.user)
        scored = peewee.fn.EXISTS(CompletedScoring.select(CompletedScoring.id).where(is_theirs))
        flags = (
            scored.converter(bool).alias("scored"),
            (~scored & CandidateKey.can_be_decided()).converter(bool).alias("open"),
        )
        query = cls.select(cls, User, *flags).join(User).switch(cls).join(Session).join(CandidateKey)
        query = query.where(Session.assessment == assessment, cls.removed_at.is_null())
        return query.order_by(cls.created_at, cls.id)

    @classmethod
    def assign(
        cls,
        assessment: Assessment,
        actor: ApiToken,
        person_ids: list[Any],
        per_session: int,
        due_at: datetime | None,
        session_ids: list[Any] | None,
    ) -> list[Any]:
        """Assign closed sessions without a decision evenly at random, and queue an email to each reviewer.

        Returns the new ids. Raises NoRubric, and Invalid for a person who cannot score, another session, a due date in
        the past, or more than MAX_ASSIGNMENTS new assignments.

        per_session -- reviewers of each session, including those who are assigned already or have scored it
        session_ids -- None for all such sessions
        """
        if assessment.rubric_id is None:
            raise NoRubric()
        if due_at is not None and due_at <= clock.now():
            raise invalid("dueAt", "Must be in the future.")
        with db.atomic():
            # Prevents concurrent assignments, and a concurrent deletion of a user.
            assessment.organization.lock()
            users = {user.id: user for user in User.of(assessment.organization_id) if user.can_score}
            _require_ids("personIds", person_ids, users, "No active person who can score has this id.")
            sessions = {session.id: session for session in _to_score(assessment)}
            text = "No closed session of this assessment without a decision has this id."
            _require_ids("sessionIds", session_ids or [], sessions, text)
            chosen = list(sessions) if session_ids is None else session_ids
            existing = cls._existing(assessment)
            pairs = distribute(chosen, person_ids, per_session, existing, random.SystemRandom())
            if len(pairs) > MAX_ASSIGNMENTS:
                text = f"At most {MAX_ASSIGNMENTS} new assignments in one request. Choose fewer sessions."
                raise invalid("sessionIds", text)
            shared = {"assigned_by": actor, "due_at": due_at}
            ids = [cls.create(session=sessions[session], user=user, **shared).id for session, user in pairs]
            data = {"assessmentTitle": assessment.title, "dueAt": due_at and format_timestamp(due_at)}
            for user_id, count in Counter(user for _, user in pairs).items():
                outbox.enqueue_to_user(users[user_id], ASSIGNMENT, data | {"count": count})
        return ids

    @classmethod
    def _existing(cls, assessment: Assessment) -> set[tuple[Any, Any]]:
        """Return the pairs of session and user that are assigned or scored."""
        sessions = _to_score(assessment).select(Session.id)
        assigned = cls.select().where(cls.session.in_(sessions), cls.removed_at.is_null())
        scored = CompletedScoring.select().where(CompletedScoring.session.in_(sessions))
        return {(row.session_id, row.user_id) for row in (*assigned, *scored)}

    @classmethod
    def end_all_for_user(cls, user: User) -> None:
        """End the assignments of a user who can no longer score."""
        for assignment in list(cls.select().where(cls.user == user, cls.removed_at.is_null())):
            with suppress(NotFound):  # removed meanwhile
                assignment.set_once("removed_at")


def _to_score(assessment: Assessment) -> Query:
    """Select an assessment's closed sessions without a decision."""
    is_closed = Session.closed_at.is_null(False) | (Session.closes_at <= clock.now())
    query = Session.select(Session.id, Session.organization, Session.key).join(CandidateKey)
    return query.where(Session.assessment == assessment, is_closed, CandidateKey.can_be_decided())


def _require_ids(field: str, ids: list[Any], known: Any, message: str) -> None:
    for number, row_id in enumerate(ids):
        if row_id not in known:
            raise invalid([field, number], message)
