"""The bare WSGI application; it answers the measured requests, and their happy path alone is served in full."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
import psycopg2.pool
import uuid_utils
from psycopg2.extras import execute_values

from benchmarks.limit import statements
from rules import candidate_keys, cohorts, envelopes, instants, summaries, tokens

CONNECTIONS = 20
HEADERS = [
    ("Content-Type", "application/json"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
]
REASONS = {
    200: "200 OK",
    201: "201 Created",
    401: "401 Unauthorized",
    404: "404 Not Found",
    409: "409 Conflict",
}


class Answer(NamedTuple):
    status: int
    body: Any


class Database:
    """A pool that is made at the first use, after the fork."""

    def __init__(self) -> None:
        self.pool: Any = None

    @contextmanager
    def cursor(self, autocommit: bool = True) -> Iterator[Any]:
        """A cursor; without `autocommit` everything inside is one transaction."""
        pool = self._pool()
        connection = pool.getconn()
        try:
            connection.autocommit = autocommit
            if autocommit:
                with connection.cursor() as cursor:
                    yield cursor
            else:
                with connection, connection.cursor() as cursor:
                    yield cursor
        finally:
            pool.putconn(connection)

    def _pool(self) -> Any:
        if self.pool is None:
            self.pool = psycopg2.pool.ThreadedConnectionPool(1, CONNECTIONS, os.environ["DATABASE_URL"])
        return self.pool


database = Database()


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    found = route(environ)
    body = orjson.dumps(found.body)
    start_response(REASONS[found.status], [*HEADERS, ("Content-Length", str(len(body)))])
    return [body]


def route(environ: dict[str, Any]) -> Answer:
    match environ["REQUEST_METHOD"], environ["PATH_INFO"].split("/")[2:]:
        case "GET", ["assessments", assessment_id]:
            return assessment(environ, assessment_id)
        case "GET", ["candidates"]:
            return candidates(environ)
        case "POST", ["hooks", "ingest"]:
            return ingest(environ)
        case "GET", ["assessments", assessment_id, "cohort-stats"]:
            return cohort_statistics(environ, assessment_id)
        case "POST", ["assessments", assessment_id, "keys"]:
            return issue_keys(environ, assessment_id)
        case "GET", ["health"]:
            return Answer(200, {"ok": True})
    return Answer(404, {"error": "There is nothing here.", "code": "not_found"})


def assessment(environ: dict[str, Any], assessment_id: str) -> Answer:
    key = candidate_keys.normalise(environ.get("HTTP_X_API_KEY", ""))
    with database.cursor() as cursor:
        cursor.execute(statements.ASSESSMENT, {"key": key, "assessment": assessment_id, "now": now()})
        row = cursor.fetchone()
    if row is None:
        return Answer(401, {"error": "This needs a valid credential.", "code": "unauthorized"})
    names = ("id", "orgId", "title", "role", "taskBrief", "repoUrl", "issueId", "rubricId", "timeLimitMinutes",
             "expiresInDays")  # fmt: skip
    shown = dict(zip(names, row, strict=False))
    # The assessments that are measured on have no issue; the join is made all the same.
    shown |= {"issue": None, "createdAt": moment(row[10]), "updatedAt": moment(row[11])}
    return Answer(200, {"assessment": shown})


def candidates(environ: dict[str, Any]) -> Answer:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    limit, offset = min(max(int(query["limit"]), 1), 200), int(query["offset"])
    with database.cursor() as cursor:
        organization, *_ = reviewer(cursor, environ)
        values = {"organization": organization, "limit": limit, "offset": offset, "now": now()}
        cursor.execute(statements.CANDIDATES, values)
        rows = cursor.fetchall()
        cursor.execute(statements.COUNT_CANDIDATES, values)
        (total,) = cursor.fetchone()
    shown = [shown_key(row) | {"assessmentTitle": row[19]} for row in rows]
    return Answer(200, {"candidates": shown, "total": total, "limit": limit, "offset": offset})


def shown_key(row: Any) -> dict[str, Any]:
    invite = None
    if row[12] is not None:
        invite = {"state": row[12], "attempts": row[13], "lastError": row[14], "sentAt": moment(row[15])}
    return {
        "id": row[0],
        "key": row[1],
        "assessmentId": row[2],
        "orgId": row[3],
        "status": row[4],
        "candidateEmail": row[5],
        "candidateName": row[6],
        "sessionId": row[7],
        "expiresAt": moment(row[8]),
        "redeemedAt": moment(row[9]),
        "completedAt": moment(row[10]),
        "createdAt": moment(row[11]),
        "erasureRequestedAt": moment(row[16]),
        "externalId": row[17],
        "metadata": row[18] or {},
        "invite": invite,
    }


def ingest(environ: dict[str, Any]) -> Answer:
    body = body_of(environ)
    envelope = orjson.loads(body)
    values = {
        **envelopes.columns(envelope),
        **summaries.summary_of(envelope)._asdict(),
        "key": candidate_keys.normalise(environ["HTTP_X_API_KEY"]),
        "event_id": envelope["id"],
        "time_ns": instants.parse(envelope["ts"]),
        "size": len(body),
        "envelope": body.decode(),
        "now": now(),
    }
    with database.cursor() as cursor:
        cursor.execute(statements.INGEST, values)
        row = cursor.fetchone()
    if row is None:
        return Answer(401, {"error": "This needs a valid credential.", "code": "unauthorized"})
    session_id, is_open, stored = row
    if envelope.get("sessionId") != str(session_id) or not is_open:
        return Answer(409, {"error": "This session has been closed.", "code": "session_closed"})
    return Answer(201, {"ok": True}) if stored else Answer(200, {"ok": True, "skipped": True})


def cohort_statistics(environ: dict[str, Any], assessment_id: str) -> Answer:
    session_id = dict(parse_qsl(environ["QUERY_STRING"]))["sessionId"]
    with database.cursor() as cursor:
        organization, *_ = reviewer(cursor, environ)
        values = {
            "assessment": assessment_id,
            "organization": organization,
            "session": session_id,
            "now": now(),
        }
        cursor.execute(statements.STATISTICS, values)
        row = cursor.fetchone()
    if row is None:
        return Answer(404, {"error": "There is nothing here.", "code": "not_found"})
    sessions, passed, *numbers = row
    averages: dict[str, Any] = {}
    percentiles = {}
    for index, metric in enumerate(cohorts.METRICS):
        total, count = numbers[2 * index : 2 * index + 2]
        beaten, has_value = numbers[12 + 2 * index : 14 + 2 * index]
        averages[metric.average_name] = cohorts.average(int(total or 0), count, metric)
        percentiles[metric.name] = cohorts.percentile(beaten, count, has_value)
    averages["testPassRate"] = cohorts.pass_rate(passed, sessions)
    shown = {"sessionCount": sessions, "metrics": averages, "percentiles": percentiles}
    return Answer(200, {"cohortStats": shown})


def issue_keys(environ: dict[str, Any], assessment_id: str) -> Answer:
    body = orjson.loads(body_of(environ))
    people = list(zip(body["candidateEmails"], body["candidateNames"], strict=True))
    begun = now()
    with database.cursor(autocommit=False) as cursor:
        organization, _, name, _ = reviewer(cursor, environ)
        cursor.execute(
            statements.HOLD_ASSESSMENT, {"assessment": assessment_id, "organization": organization}
        )
        expires_at = begun + timedelta(days=cursor.fetchone()[0])
        keys = [
            (new_id(), begun, organization, assessment_id, candidate_keys.make(), email, person,
             email.casefold(), f"{person}\n{email}".casefold(), new_id(), expires_at, False)
            for email, person in people
        ]  # fmt: skip
        data = orjson.dumps({"orgName": name}).decode()
        deliveries = [
            (key[9], begun, organization, "invitation", key[0], data, "queued", 0, begun) for key in keys
        ]
        execute_values(cursor, statements.INSERT_KEYS, keys, page_size=len(keys))
        execute_values(cursor, statements.INSERT_DELIVERIES, deliveries, page_size=len(keys))
    rows = [
        (key[0], key[4], assessment_id, organization, "pending", key[5], key[6], None, expires_at, None, None,
         begun, "queued", 0, None, None, None, None, None)
        for key in keys
    ]  # fmt: skip
    return Answer(201, {"keys": [shown_key(row) for row in rows]})


def reviewer(cursor: Any, environ: dict[str, Any]) -> tuple:
    """The organization, scope, organization's name and subscription of whoever the token names."""
    token = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    cursor.execute(statements.REVIEWER, {"fingerprint": tokens.fingerprint(token), "now": now()})
    return cursor.fetchone()


def body_of(environ: dict[str, Any]) -> bytes:
    return environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))


def now() -> datetime:
    found = datetime.now(UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def moment(value: datetime | None) -> str | None:
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id() -> str:
    return str(uuid_utils.uuid7())
