"""Two organizations with one row of every resource, and the rules for all responses."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import factories
from callers import CONSOLE_HEADERS, Caller
from flask import Flask
from werkzeug.test import TestResponse

import models
from errors import NotFound, Unauthenticated
from models import CandidateKey, Delivery, Organization, Session, clock, db, sessions
from models.deliveries import outcomes
from schemas.base import camel
from tests.hostile.operations import Operation, create_missing, fill, operations
from tests.hostile.values import SOME_ID

# Part of every name in the other organization, and of no hostile value.
FOREIGN_NAME = "Zanzibar"
INTERNALS = (
    "Traceback", "peewee", "psycopg", "sqlite", "werkzeug", "marshmallow", "SELECT", "UPDATE", ".py", "0x7f", "<html",
)  # fmt: skip
NOT_FOUND = {"error": NotFound.message, "code": NotFound.reason}
UNAUTHENTICATED = {"error": Unauthenticated.message, "code": Unauthenticated.reason}
# Optional fields of an error, in addition to R26.
OPTIONAL_ERROR_FIELDS = {"used", "quota", "assessments", "entries", "parts"}


class Tenant:
    """An organization with one row of every resource, keys in each state, and an assessment without keys."""

    def __init__(self, app: Flask, name: str):
        self.organization: Organization = factories.make_organization(name)
        self.reviewer = Caller.reviewer(app, self.organization)
        self.reader = Caller.reviewer(app, self.organization, scope="read")
        rubric = factories.make_rubric(self.organization, name=f"Used by {name}")
        assessment, self.fresh = (
            factories.make_assessment(
                self.organization, title=f"{title} of {name}", rubric_id=rubric.id, time_limit_minutes=90
            )
            for title in ("Challenge", "Fresh")
        )
        self.pending, self.key, self.expired = (
            factories.make_key(assessment, f"{state}@example.com", f"{state} of {name}")
            for state in ("pending", "open", "expired")
        )
        CandidateKey.update(expires_at=clock.now()).where(CandidateKey.id == self.expired.id).execute()
        failed = Delivery.get_by_id(self.pending.invitation_id)
        outcomes.fail(failed, "550 no such user")
        self.session: Session = factories.make_recorded_session(self.key)
        self.candidate = Caller.candidate(app, self.key)
        self.finished = factories.make_session(factories.make_key(assessment))
        ids = factories.make_session_rows(self.finished, self.reviewer.row, name)
        sessions.complete(self.finished)
        ids |= factories.make_organization_rows(self.organization, name)
        ids |= {"assessment_id": assessment.id, "key_id": self.pending.id, "delivery_id": failed.id}
        ids |= {"candidate_id": self.finished.key_id, "key": self.key.key, "name": "tests"}
        ids = create_missing(self.reviewer, ids, name, name)
        self.names = ids | {"session_id": self.session.id}
        del ids["key"]
        self.runner = Caller.runner(app, self.organization, ids["job_id"])
        self.ids = {camel(parameter): row_id for parameter, row_id in ids.items()}


class World:
    """Sends requests with `own`'s credentials. No response may contain data of `other_org`."""

    def __init__(self, app: Flask):
        self.app = app
        self.own = Tenant(app, "Acme")
        self.other_org = Tenant(app, FOREIGN_NAME)
        self.anonymous = Caller(app)
        # Record the tokens' first use now. The clock is frozen, so later calls do not change their rows.
        for reviewer in (self.own.reviewer, self.own.reader):
            reviewer.get("/v1/me")
        self.own.runner.row.record_use()

    def caller(self, operation: Operation) -> Caller:
        if "reviewerToken" in operation.callers:
            return self.own.reviewer
        if "runnerToken" in operation.callers:
            return self.own.runner
        return self.own.candidate if operation.callers else self.anonymous

    def path(self, operation: Operation, **ids: Any) -> str:
        own = self.own.ids.copy()
        if (operation.method, operation.path) == ("PATCH", "/v1/assessments/{assessmentId}"):
            own["assessmentId"] = self.own.fresh.id
        if operation.path.endswith("/allow-redeem"):
            own["candidateId"] = self.own.key.id
        if operation.path.endswith(("/invite", "/remind", "/extend", "/accommodation")):
            own["candidateId"] = self.own.pending.id
        if (operation.method, operation.path) == ("DELETE", "/v1/deliveries/{deliveryId}"):
            own["deliveryId"] = self.own.key.invitation_id
        if operation.path.endswith("/reopen"):
            own["candidateId"] = self.own.expired.id
        unknown = dict.fromkeys(operation.path_parameters, SOME_ID)
        return operation.path.format(**unknown | own | ids)

    def served(self) -> list[Operation]:
        """Return the operations that succeed with this world's ids and bodies."""
        return [operation for operation in operations() if self.call(operation).status_code < 300]

    def body(self, operation: Operation) -> dict[str, Any] | None:
        """Build a valid body with all of the operation's fields."""
        body = fill(operation.body, self.own.names)
        return body | {"groups": {str(self.own.key.id): "Group A"}} if "groups" in (body or ()) else body

    def query(self, operation: Operation) -> str:
        """Build the required query parameters."""
        return urlencode(fill(operation.query, self.own.names))

    def call(self, *arguments: Any, **options: Any) -> TestResponse:
        """Like `send`, but check the response and roll back."""
        return rolled_back(lambda: self.send(*arguments, **options))

    def send(
        self,
        operation: Operation,
        path: str | None = None,
        body: bytes | None = None,
        query: str | None = None,
        **headers: str,
    ) -> TestResponse:
        """Send a request as a permitted caller. Path and query are sent unescaped, as Latin-1 bytes."""
        if body is None and operation.body is not None:
            body = json.dumps(self.body(operation)).encode()
        caller = self.caller(operation)
        if body is not None:
            headers = {"Content-Type": "application/json"} | headers
        if operation.path.startswith("/v1/sign-in"):
            headers = CONSOLE_HEADERS | headers
        if query is None:
            query = self.query(operation)
        environ = {"PATH_INFO": path or self.path(operation), "QUERY_STRING": query}
        return caller.request(operation.method, "/", headers, data=body, environ_overrides=environ)


def rolled_back(call: Callable[[], TestResponse]) -> TestResponse:
    """Send a request and check the response. Roll back only a success: an error must not change anything."""
    with db.atomic() as savepoint:
        response = call()
        response.get_data()
        if response.status_code < 400:
            savepoint.rollback()
    check(response)
    return response


def check(response: TestResponse) -> None:
    """Check the rules for all responses (R26, R32)."""
    assert response.status_code < 500, response.text
    assert not 300 <= response.status_code < 400
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert FOREIGN_NAME not in response.text
    if response.request.path.startswith("/v1/"):
        assert response.headers["Cache-Control"] == "no-store"
    if response.status_code >= 400 and response.request.method != "HEAD":
        check_error(response)


def check_error(response: TestResponse) -> None:
    assert response.content_type == "application/json"
    error = response.json
    assert error["error"]
    assert error["code"]
    assert set(error) <= {"error", "code", "details"} | OPTIONAL_ERROR_FIELDS
    assert ("details" in error) == (error["code"] == "invalid_request")
    for detail in error.get("details", ()):
        assert set(detail) == {"path", "message"}
        assert all(isinstance(step, str | int) for step in detail["path"])
        assert detail["message"]
    assert not [word for word in INTERNALS if word in response.text]


def snapshot() -> dict[str, list[tuple]]:
    """Return all rows of all tables."""
    tables = [model._meta.table_name for model in models.tables()]
    return {table: sorted(db.execute_sql(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables}


def field_paths(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yield the path of every field at any depth, with only the first entry of each list."""
    children = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        children = enumerate(value[:1])
    for name, child in children:
        yield (*path, name)
        yield from field_paths(child, (*path, name))


def body_with(body: Any, path: tuple, value: bytes) -> bytes:
    """Serialize the body with raw bytes at a path."""
    placeholder = uuid.uuid4().hex
    text = json.dumps(_replace(body, path, placeholder)).encode()
    return text.replace(f'"{placeholder}"'.encode(), value)


def _replace(body: Any, path: tuple, value: str) -> Any:
    if not path:
        return value
    copy: Any = body.copy()
    copy[path[0]] = _replace(body[path[0]], path[1:], value)
    return copy
