"""Requests that may come twice: what was answered the first time, for a day, under a key of the caller's own."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import peewee

from errors import InProgress, KeyReused
from models.base import Model, Query, clock, db, is_postgres
from models.database import LOCK_TIMEOUT_SECONDS
from models.keys import CandidateKey
from models.orgs import ApiToken

KEPT = timedelta(hours=24)
PATIENCE_SECONDS = 10
LOCK_NOT_AVAILABLE = "55P03"
# What of an erased candidate's entry stays in an answer; whatever is added to entries later goes.
STAYS = {
    "id",
    "key",
    "assessmentId",
    "orgId",
    "status",
    "expiresAt",
    "redeemedAt",
    "completedAt",
    "createdAt",
}
# What is never null in an entry.
EMPTY: dict[str, Any] = {"metadata": {}}


class IdempotentRequest(Model):
    """A request that was done under an `Idempotency-Key`, and its answer, which is there as soon as the row is seen.

    Of the key only its fingerprint is kept, since callers may write a person's name into it. `digest` is of the
    request: method, path and body. `answer` is the body's text without secrets.
    """

    reviewer = peewee.ForeignKeyField(ApiToken)
    fingerprint = peewee.TextField()
    digest = peewee.TextField()
    status = peewee.IntegerField(null=True)
    answer = peewee.TextField(null=True)

    class Meta:
        table_name = "idempotent_requests"
        indexes = ((("reviewer", "fingerprint"), True),)

    @classmethod
    @contextmanager
    def turn(cls, reviewer: ApiToken, key: str, digest: str) -> Iterator["IdempotentRequest"]:
        """A transaction around the work of a request, which is the only one with its key meanwhile.

        The row has the first answer, or none where the work is the caller's to do and to `keep`. What is raised
        inside undoes the work and the claim together. Another of the same key is waited for; raises InProgress
        after PATIENCE_SECONDS, on SQLite LOCK_TIMEOUT_SECONDS for the turn besides, and KeyReused where the key
        belongs to another request.
        """
        with ExitStack() as stack:
            with _patience():
                stack.enter_context(db.atomic())
                found = cls._claimed(reviewer, key, digest)
            yield found

    @classmethod
    def _claimed(cls, reviewer: ApiToken, key: str, digest: str) -> "IdempotentRequest":
        _limit_waiting(f"'{PATIENCE_SECONDS}s'")
        fingerprint = hashlib.sha256(key.encode()).hexdigest()
        same = (cls.reviewer == reviewer) & (cls.fingerprint == fingerprint)
        cls.delete().where(same, cls._is_old()).execute()
        # PostgreSQL waits here for whoever inserted the same and has not committed yet.
        cls.insert(reviewer=reviewer, fingerprint=fingerprint, digest=digest).on_conflict_ignore().execute()
        _limit_waiting("DEFAULT")
        found = cls.get(same)
        if found.digest != digest:
            raise KeyReused()
        return found

    def keep(self, status: int, answer: str) -> None:
        IdempotentRequest.update(status=status, answer=answer).where(
            IdempotentRequest.id == self.id
        ).execute()

    @classmethod
    def forget_old(cls) -> int:
        """Delete what is older than KEPT; returns how many rows."""
        return cls.delete().where(cls._is_old()).execute()

    @classmethod
    def _is_old(cls) -> peewee.Expression:
        return cls.created_at <= clock.now() - KEPT

    @classmethod
    def of_person(cls, key: CandidateKey, session: Any) -> Query:
        """The answers that have an entry about the candidate: ids appear in them as texts."""
        colleagues = ApiToken.select(ApiToken.id).where(ApiToken.organization == key.organization_id)
        return cls.select().where(cls.reviewer.in_(colleagues), cls.answer.contains(str(key.id)))

    @classmethod
    def erase_of(cls, key: CandidateKey, session: Any) -> int:
        """Take what is personal out of the answers; they stay, so that nothing is done twice."""
        found = list(cls.of_person(key, session))
        for row in found:
            row.keep(row.status, json.dumps(_without_person(json.loads(row.answer), str(key.id))))
        return len(found)


@contextmanager
def _patience() -> Iterator[None]:
    """InProgress where a lock is not to be had in time. SQLite has one for all, whoever holds it."""
    if not is_postgres():
        db.pragma("busy_timeout", PATIENCE_SECONDS * 1000)
    try:
        yield
    except peewee.OperationalError as error:
        if _waited_in_vain(error):
            raise InProgress() from None
        raise
    finally:
        if not is_postgres():
            db.pragma("busy_timeout", LOCK_TIMEOUT_SECONDS * 1000)


def _limit_waiting(duration: str) -> None:
    """How long PostgreSQL waits for a lock, until the transaction ends or the limit is set anew."""
    if is_postgres():
        db.execute_sql(f"SET LOCAL lock_timeout TO {duration}")


def _waited_in_vain(error: peewee.OperationalError) -> bool:
    cause = getattr(error, "orig", None)
    return getattr(cause, "pgcode", None) == LOCK_NOT_AVAILABLE or "database is locked" in str(error)


def _without_person(node: Any, row_id: str) -> Any:
    """The answer, with nothing but ids, times and states in the entry that has this id."""
    if isinstance(node, list):
        return [_without_person(child, row_id) for child in node]
    if not isinstance(node, dict):
        return node
    if node.get("id") == row_id:
        return {name: value if name in STAYS else EMPTY.get(name) for name, value in node.items()}
    return {name: _without_person(child, row_id) for name, child in node.items()}
