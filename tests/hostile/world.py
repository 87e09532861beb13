"""Two organizations with one of everything, and what must hold for every answer and for the database after it."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import factories
import pytest
from callers import Caller
from flask import Flask
from werkzeug.test import TestResponse

import models
from errors import NotFound, Unauthenticated
from models import CandidateKey, Delivery, Organization, Session, clock, db, sessions
from models.deliveries import outcomes
from schemas.base import camel
from tests.hostile.operations import Operation, operations
from tests.hostile.values import SOME_ID

# Stands in everything that belongs to the other organization; no hostile value has it.
FOREIGN_MARK = "Zanzibar"
INSIDE = (
    "Traceback",
    "peewee",
    "psycopg",
    "sqlite",
    "werkzeug",
    "marshmallow",
    "SELECT",
    "UPDATE",
    ".py",
    "0x7f",
    "<html",
)
NOT_FOUND = {"error": NotFound.sentence, "code": NotFound.reason}
UNAUTHENTICATED = {"error": Unauthenticated.sentence, "code": Unauthenticated.reason}
# Members that a refusal may carry beside the three of R26: R10, a rubric in use, places in the way, and parts.
MORE_MEMBERS = {"used", "quota", "assessments", "entries", "parts"}


class Belongings:
    """An organization with one of everything: an assessment and a fresh one, keys in each state, and sessions."""

    def __init__(self, app: Flask, name: str):
        self.organization: Organization = factories.make_organization(name)
        self.reviewer = Caller.reviewer(app, self.organization)
        self.reader = Caller.reviewer(app, self.organization, scope="read")
        rubric = factories.make_rubric(self.organization, name=f"Used by {name}")
        assessment, self.fresh = (
            factories.make_assessment(self.organization, title=f"{title} of {name}", rubric_id=rubric.id)
            for title in ("Challenge", "Fresh")
        )
        self.pending, self.key, self.expired = (
            factories.make_key(assessment, f"{state}@example.com", f"{state} of {name}")
            for state in ("pending", "open", "expired")
        )
        CandidateKey.update(expires_at=clock.now()).where(CandidateKey.id == self.expired.id).execute()
        failed = Delivery.get_by_id(self.pending.invitation_id)
        outcomes.fail(failed, "550 no such user")
        self.session: Session = factories.make_session(self.key)
        self.candidate = Caller.candidate(app, self.key)
        self.finished = factories.make_session(factories.make_key(assessment))
        ids = factories.make_record(self.finished, self.reviewer.row, name)
        sessions.complete(self.finished)
        ids |= factories.make_settings(self.organization, name)
        ids |= {"assessment_id": assessment.id, "key_id": self.pending.id, "delivery_id": failed.id}
        ids["candidate_id"] = self.finished.key_id
        self._ids = {camel(parameter): row_id for parameter, row_id in ids.items()}

    @property
    def ids(self) -> dict[str, Any]:
        """By the names of path parameters."""
        return self._ids.copy()


class World:
    """`own` is whose credentials are used, `foreign` is what must never show."""

    def __init__(self, app: Flask):
        self.app = app
        self.own = Belongings(app, "Acme")
        self.foreign = Belongings(app, FOREIGN_MARK)
        self.anonymous = Caller(app)
        # The first use of a token is noted on its row; the clock stands still, so the next ones are not.
        for reviewer in (self.own.reviewer, self.own.reader):
            reviewer.get("/v1/me")

    def caller(self, operation: Operation) -> Caller:
        if "reviewerToken" in operation.callers:
            return self.own.reviewer
        return self.own.candidate if operation.callers else self.anonymous

    def path(self, operation: Operation, **ids: Any) -> str:
        own = self.own.ids
        if (operation.method, operation.path) == ("PATCH", "/v1/assessments/{assessmentId}"):
            own["assessmentId"] = self.own.fresh.id
        if operation.path.endswith("/allow-redeem"):
            own["candidateId"] = self.own.key.id
        if operation.path.endswith(("/invite", "/extend", "/accommodation")):
            own["candidateId"] = self.own.pending.id
        if operation.path.endswith("/reopen"):
            own["candidateId"] = self.own.expired.id
        unknown = dict.fromkeys(operation.path_parameters, SOME_ID)
        return operation.path.format(**unknown | own | ids)

    def served(self) -> list[Operation]:
        """The operations that this world has everything for."""
        return [operation for operation in operations() if self.call(operation).status_code < 300]

    def body(self, operation: Operation) -> dict[str, Any] | None:
        """A whole and right body, with every member that the operation knows."""
        if operation.members is None:
            return None
        right = {
            "issueId": str(self.own.ids["issueId"]),
            "rubricId": str(self.own.ids["rubricId"]),
            "key": self.own.key.key,
            "sessionId": str(self.own.session.id),
            "value": 2,
            "disclosureHash": models.disclosure.current()["hash"],
            # Of two members that exclude each other null leaves one out (R6).
            "expiresAt": None,
            "timeMultiplier": None,
        }
        return {name: right.get(name, example) for name, example in operation.members.items()}

    def call(
        self,
        operation: Operation,
        path: str | None = None,
        body: bytes | None = None,
        query: str | None = None,
        **headers: str,
    ) -> TestResponse:
        """Call as who may; what succeeds is undone. Path and query go out as they are, a byte a character."""
        return undone(lambda: self.send(operation, path, body, query, **headers))

    def send(
        self,
        operation: Operation,
        path: str | None = None,
        body: bytes | None = None,
        query: str | None = None,
        **headers: str,
    ) -> TestResponse:
        """The same with nothing undone."""
        if body is None and operation.members is not None:
            body = json.dumps(self.body(operation)).encode()
        caller = self.caller(operation)
        if body is not None:
            headers = {"Content-Type": "application/json"} | headers
        if query is None:
            query = f"key={self.own.key.key}" if "key" in operation.query_parameters else operation.query
        environ = {"PATH_INFO": path or self.path(operation), "QUERY_STRING": query}
        return caller.request(operation.method, "/", headers, data=body, environ_overrides=environ)


def quick_on(database: str) -> pytest.MarkDecorator:
    """Run the test on both databases, but on the other one only among the slow tests."""
    marks = {database: (), **dict.fromkeys({"sqlite", "postgresql"} - {database}, pytest.mark.slow)}
    both = [pytest.param(name, marks=marks[name]) for name in ("sqlite", "postgresql")]
    return pytest.mark.parametrize("database_url", both, indirect=True, scope="session")


def undone(call: Callable[[], TestResponse]) -> TestResponse:
    """The checked answer to a call that must not change anything where it is refused; success is taken back."""
    with db.atomic() as savepoint:
        answer = call()
        answer.get_data()
        if answer.status_code < 400:
            savepoint.rollback()
    check(answer)
    return answer


def check(answer: TestResponse) -> None:
    """What holds for every answer, whatever was asked (R26, R32)."""
    assert answer.status_code < 500, answer.text
    assert not 300 <= answer.status_code < 400
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert FOREIGN_MARK not in answer.text
    if answer.request.path.startswith("/v1/"):
        assert answer.headers["Cache-Control"] == "no-store"
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        check_refusal(answer)


def check_refusal(answer: TestResponse) -> None:
    assert answer.content_type == "application/json"
    refusal = answer.json
    assert refusal["error"]
    assert refusal["code"]
    assert set(refusal) <= {"error", "code", "details"} | MORE_MEMBERS
    assert ("details" in refusal) == (refusal["code"] == "invalid_request")
    for place in refusal.get("details", ()):
        assert set(place) == {"path", "message"}
        assert all(isinstance(step, str | int) for step in place["path"])
        assert place["message"]
    assert not [word for word in INSIDE if word in answer.text]


def snapshot() -> dict[str, list[tuple]]:
    """Every row of every table."""
    tables = [model._meta.table_name for model in models.TABLES]
    return {table: sorted(db.execute_sql(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables}


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every member inside a body, at any depth; of a list's entries the first stands for all."""
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for name, child in inner:
        yield (*path, name)
        yield from places(child, (*path, name))


def body_with(body: Any, place: tuple, value: bytes) -> bytes:
    """The body as JSON, with `value` as it is at a place."""
    mark = uuid.uuid4().hex
    return json.dumps(_replaced(body, place, mark)).encode().replace(f'"{mark}"'.encode(), value)


def _replaced(body: Any, place: tuple, value: str) -> Any:
    if not place:
        return value
    copy: Any = body.copy()
    copy[place[0]] = _replaced(body[place[0]], place[1:], value)
    return copy
