"""First responses to idempotent requests, stored for a day."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

import peewee

from database_errors import LOCK_NOT_AVAILABLE, sqlstate
from errors import InProgress, KeyReused
from models.base import Model, PersonalData, Query, clock, db, is_postgres
from models.database import LOCK_TIMEOUT_SECONDS
from models.keys import CandidateKey
from models.orgs import ApiToken

RETENTION = timedelta(hours=24)
WAIT_SECONDS = 10
# Fields that stay in stored responses about an erased candidate.
NON_PERSONAL_FIELDS = {
    *("id", "key", "assessmentId", "candidateId", "orgId", "sessionId"),
    *("status", "decision", "kind", "state"),
    *("expiresAt", "redeemedAt", "completedAt", "createdAt", "updatedAt", "decidedAt"),
}
# Other fields become null, except these.
EMPTY_FIELDS: dict[str, Any] = {"metadata": {}}


class IdempotentRequest(Model):
    """A request with an `Idempotency-Key` and its response.

    The key is stored as a fingerprint, because it can contain a name. `digest` covers method, path and body. `path` can
    contain the candidate's or session's id. `answer` is the response body without secrets.
    """

    personal_data = PersonalData("answers", "Responses about you to the hiring team, stored for a day.")

    reviewer = peewee.ForeignKeyField(ApiToken)
    fingerprint = peewee.TextField()
    digest = peewee.TextField()
    path = peewee.TextField(default="")
    status = peewee.IntegerField(null=True)
    answer = peewee.TextField(null=True)

    class Meta:
        indexes = ((("reviewer", "fingerprint"), True),)

    @classmethod
    @contextmanager
    def claim(cls, token: ApiToken, key: str, path: str, digest: str) -> Iterator["IdempotentRequest"]:
        """Start a transaction that excludes other requests with the same key, and yield the key's row.

        If the row has no response yet, the caller must process the request and store the response. An exception rolls
        back both.

        Raises InProgress after WAIT_SECONDS (on SQLite, LOCK_TIMEOUT_SECONDS later), and KeyReused if the key belongs
        to a different request.
        """
        with ExitStack() as stack:
            with _limited_wait():
                stack.enter_context(db.atomic())
                row = cls._claim(token, key, path, digest)
            yield row

    @classmethod
    def has_response(cls, token: ApiToken, key: str) -> bool:
        """Return whether the key has a stored response that will not expire within the next minute."""
        expiry = clock.now() - RETENTION + timedelta(minutes=1)
        return cls.select().where(cls._has_key(token, key), cls.created_at > expiry).exists()

    @classmethod
    def _has_key(cls, token: ApiToken, key: str) -> peewee.Expression:
        return (cls.reviewer == token) & (cls.fingerprint == _fingerprint(key))

    @classmethod
    def _claim(cls, token: ApiToken, key: str, path: str, digest: str) -> "IdempotentRequest":
        if is_postgres():
            db.execute_sql(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
        has_key = cls._has_key(token, key)
        cls.delete().where(has_key, cls._is_expired()).execute()
        # PostgreSQL waits here for an uncommitted row with the same key.
        claim = {"reviewer": token, "fingerprint": _fingerprint(key), "path": path, "digest": digest}
        cls.insert(claim).on_conflict_ignore().execute()
        if is_postgres():
            db.execute_sql("SET LOCAL lock_timeout = DEFAULT")
        row = cls.get(has_key)
        if row.digest != digest:
            raise KeyReused()
        return row

    def store(self, status: int, answer: str) -> None:
        self.update_columns(status=status, answer=answer)

    @classmethod
    def delete_expired(cls) -> int:
        return cls.delete().where(cls._is_expired()).execute()

    @classmethod
    def _is_expired(cls) -> peewee.Expression:
        return cls.created_at <= clock.now() - RETENTION

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Any) -> Query:
        """Select requests whose path or response contains the candidate's or session's id."""
        tokens = ApiToken.select(ApiToken.id).where(ApiToken.organization == key.organization_id)
        matches = [
            column.contains(row_id) for row_id in _ids(key, session) for column in (cls.path, cls.answer)
        ]
        return cls.select().where(cls.reviewer.in_(tokens), reduce(or_, matches))

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Any) -> int:
        """Remove personal data from the responses. The rows remain, so a repeated request does not run again."""
        rows = [row for row in cls.personal_rows(key, session) if row.answer is not None]
        ids = _ids(key, session)
        for row in rows:
            is_about_candidate = any(row_id in row.path for row_id in ids)
            row.store(
                row.status, json.dumps(_anonymize(json.loads(row.answer), key, session, is_about_candidate))
            )
        return len(rows)

    @classmethod
    def erase_user(cls, organization_id: Any, user_id: Any) -> None:
        """Remove a deleted user's email from the responses."""
        for row in cls._mentioning(organization_id, user_id):
            answer = json.loads(str(row.answer))
            person = answer.get("person")
            if isinstance(person, dict) and person.get("id") == str(user_id):
                row.update_columns(answer=json.dumps(answer | {"person": person | {"email": None}}))

    @classmethod
    def erase_field(cls, organization_id: Any, row_id: Any, name: str) -> None:
        """Set a field of the row with this id to null in the responses."""
        for row in cls._mentioning(organization_id, row_id):
            answer = _without_field(json.loads(str(row.answer)), str(row_id), name)
            row.update_columns(answer=json.dumps(answer))

    @classmethod
    def _mentioning(cls, organization_id: Any, row_id: Any) -> Query:
        tokens = ApiToken.select(ApiToken.id).where(ApiToken.organization == organization_id)
        return cls.select().where(cls.reviewer.in_(tokens), cls.answer.contains(str(row_id)))


def _fingerprint(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _ids(key: CandidateKey, session: Any) -> list[str]:
    return [str(row.id) for row in (key, session) if row is not None]


@contextmanager
def _limited_wait() -> Iterator[None]:
    """Raise InProgress if the lock is not available in time."""
    if not is_postgres():
        db.pragma("busy_timeout", WAIT_SECONDS * 1000)
    try:
        yield
    except peewee.OperationalError as error:
        if sqlstate(error) == LOCK_NOT_AVAILABLE or "database is locked" in str(error):
            raise InProgress() from None
        raise
    finally:
        if not is_postgres():
            db.pragma("busy_timeout", LOCK_TIMEOUT_SECONDS * 1000)


def _anonymize(node: Any, key: CandidateKey, session: Any, is_about_candidate: bool) -> Any:
    """Keep only non-personal fields in objects about the candidate, or in all objects if `is_about_candidate`."""
    if isinstance(node, list):
        return [_anonymize(child, key, session, is_about_candidate) for child in node]
    if not isinstance(node, dict):
        return _empty(node) if is_about_candidate else node
    non_personal = {name: value for name, value in node.items() if name in NON_PERSONAL_FIELDS}
    if node.get("id") == str(key.id):
        return {name: EMPTY_FIELDS.get(name) for name in node} | non_personal
    # `candidateId`, `sessionId`, or a webhook message's body.
    strings = [value for value in node.values() if isinstance(value, str)]
    if any(row_id in string for row_id in _ids(key, session) for string in strings):
        return {name: _empty(value) for name, value in node.items()} | non_personal
    cleaned = {name: _anonymize(child, key, session, is_about_candidate) for name, child in node.items()}
    return cleaned | non_personal if is_about_candidate else cleaned


def _without_field(node: Any, row_id: str, name: str) -> Any:
    if isinstance(node, list):
        return [_without_field(child, row_id, name) for child in node]
    if not isinstance(node, dict):
        return node
    cleaned = {key: _without_field(child, row_id, name) for key, child in node.items()}
    return cleaned | {name: None} if node.get("id") == row_id else cleaned


def _empty(value: Any) -> Any:
    """Return an empty value of the same type."""
    return type(value)()
