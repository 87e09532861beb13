"""The bare WSGI application.

It looks up the credential of each request in the database, verifies event signatures, stores events durably before it
responds, and creates keys with all their rows. It omits rate limits, logs, validation and the last use of tokens.
"""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from uuid import UUID

import orjson
import psycopg2.pool
import uuid_utils

from rules import api_tokens, candidate_keys
from rules.cursors import Cursor
from rules.events import envelopes, summaries
from rules.integrity import event_signatures
from rules.timestamps import parse_timestamp_ns
from tools.benchmarks.limit import statements
from tools.benchmarks.limit.prepared import PreparingConnection

# A process can receive all connections of load.py, and still run requests of the previous load.
CONNECTIONS = 32
HEADERS = [
    ("Content-Type", "application/json"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
]
ASSESSMENT_FIELDS = ("id", "orgId", "title", "role", "taskBrief", "repoUrl", "issueId", "rubricId",
                     "timeLimitMinutes", "expiresInDays")  # fmt: skip


class Response(NamedTuple):
    status: int
    body: Any


UNAUTHORIZED = Response(401, {"error": "A valid credential is required.", "code": "unauthorized"})
CLOSED = Response(409, {"error": "This session is closed.", "code": "session_closed"})


# gunicorn imports this module after the fork. Each thread has its own connection.
pool = psycopg2.pool.ThreadedConnectionPool(
    CONNECTIONS,
    CONNECTIONS,
    os.environ["DATABASE_URL"],
    options="-c timezone=UTC",
    connection_factory=PreparingConnection,
)


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    response = route(environ)
    body = orjson.dumps(response.body)
    status = f"{response.status} {HTTPStatus(response.status).phrase}"
    start_response(status, [*HEADERS, ("Content-Length", str(len(body)))])
    return [body]


def route(environ: dict[str, Any]) -> Response:
    match environ["REQUEST_METHOD"], environ["PATH_INFO"].split("/")[2:]:
        case "GET", ["assessments", assessment_id]:
            return assessment(environ, assessment_id)
        case "GET", ["candidates"]:
            return candidates(environ)
        case "POST", ["hooks", "ingest"]:
            return ingest(environ)
        case "POST", ["assessments", assessment_id, "keys"]:
            return issue_keys(environ, assessment_id, orjson.loads(read_body(environ)))
        case "GET", ["health"]:
            return Response(200, {"ok": True})
    return Response(404, {"error": "Not found.", "code": "not_found"})


def assessment(environ: dict[str, Any], assessment_id: str) -> Response:
    key = candidate_keys.normalize(environ.get("HTTP_X_API_KEY", ""))
    rows = fetch(statements.ASSESSMENT, {"key": key, "assessment": assessment_id, "now": now()})
    if not rows:
        return UNAUTHORIZED
    (row,) = rows
    fields = dict(zip(ASSESSMENT_FIELDS, row, strict=False))
    # The measured assessments have no issue, but the statement joins it.
    fields |= {"issue": None, "createdAt": format_timestamp(row[10]), "updatedAt": format_timestamp(row[11])}
    return Response(200, {"assessment": fields})


def candidates(environ: dict[str, Any]) -> Response:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    limit, offset = min(max(int(query["limit"]), 1), 200), int(query["offset"])
    rows = fetch(statements.CANDIDATES, reviewer_parameters(environ) | {"limit": limit, "offset": offset})
    if not rows:
        return UNAUTHORIZED
    keys = [
        format_key(row) | {"assessmentTitle": row[25], "decisionFindingReason": row[27]}
        for row in rows[:limit]
        if row[0]
    ]
    last = rows[limit - 1] if len(rows) > limit else None
    page = {"next": last and str(Cursor(last[11], UUID(str(last[0])))), "total": rows[0][26]}
    return Response(200, {"candidates": keys, **page, "limit": limit, "offset": offset})


def format_key(row: Any) -> dict[str, Any]:
    invite = {"attempts": row[13], "lastError": row[14], "sentAt": format_timestamp(row[15])}
    return {
        "id": row[0], "key": row[1], "assessmentId": row[2], "orgId": row[3], "status": row[4],
        "candidateEmail": row[5], "candidateName": row[6], "sessionId": row[7], "expiresAt": format_timestamp(row[8]),
        "redeemedAt": format_timestamp(row[9]), "completedAt": format_timestamp(row[10]),
        "createdAt": format_timestamp(row[11]), "erasureRequestedAt": format_timestamp(row[16]),
        "externalId": row[17], "metadata": row[18] or {}, "decision": row[19], "decisionReason": row[20],
        "decisionFindingReason": None, "decidedAt": format_timestamp(row[21]),
        "decidedBy": row[22] and {"id": row[22], "name": row[23], "kind": "serviceAccount"},
        "updatedAt": format_timestamp(row[24]), "invite": {"state": row[12], **invite} if row[12] else None,
    }  # fmt: skip


def ingest(environ: dict[str, Any]) -> Response:
    body = read_body(environ)
    envelope = orjson.loads(body)
    key = candidate_keys.normalize(environ["HTTP_X_API_KEY"])
    rows = fetch(statements.SESSION, {"key": key})
    if not rows:
        return UNAUTHORIZED
    ((session_id, public_keys),) = rows
    if envelope.get("sessionId") != session_id:
        return CLOSED
    text = body.decode()
    values = {
        **envelopes.columns(envelope),
        **summaries.summarize(envelope)._asdict(),
        "key": key,
        "event_id": envelope["id"],
        "time_ns": parse_timestamp_ns(envelope["ts"]),
        "size": len(body),
        "verdict": event_signatures.verify(text, public_keys).verdict,
        "envelope": text,
        "now": now(),
    }
    rows = fetch(statements.INGEST, values)
    if not rows:
        return UNAUTHORIZED
    ((is_open, stored),) = rows
    if not is_open:
        return CLOSED
    return Response(201, {"ok": True}) if stored else Response(200, {"ok": True, "skipped": True})


def issue_keys(environ: dict[str, Any], assessment_id: str, body: dict[str, Any]) -> Response:
    emails, names = body["candidateEmails"], body["candidateNames"]
    ids, keys = [new_id() for _ in emails], [candidate_keys.generate() for _ in emails]
    values = reviewer_parameters(environ) | {
        "assessment": assessment_id,
        "ids": ids,
        "keys": keys,
        "emails": emails,
        "names": names,
        "addresses": [email.casefold() for email in emails],
        "texts": [f"{name}\n{email}".casefold() for name, email in zip(names, emails, strict=True)],
        "invitations": [new_id() for _ in emails],
        "feed_events": [new_id() for _ in emails],
        "audit": new_id(),
        "fields": orjson.dumps(sorted(body)).decode(),
        "address": environ["REMOTE_ADDR"],
    }
    rows = fetch(statements.ISSUE_KEYS, values)
    if not rows:
        return UNAUTHORIZED
    ((organization, expires_at),) = rows
    issued = [
        format_key((key_id, key, assessment_id, organization, "pending", email, name, None, expires_at, None, None,
                    values["now"], "queued", 0, None, None, None, None, None, "undecided", None, None, None, None,
                    values["now"]))
        for key_id, key, email, name in zip(ids, keys, emails, names, strict=True)
    ]  # fmt: skip
    return Response(201, {"keys": issued})


def fetch(sql: str, values: dict[str, Any]) -> list[tuple]:
    """Run a statement in its own transaction and return its rows."""
    connection = pool.getconn()
    try:
        return connection.fetch(sql, values)
    finally:
        pool.putconn(connection)


def reviewer_parameters(environ: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the `reviewer` subquery."""
    token = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return {"fingerprint": api_tokens.fingerprint(token), "now": now()}


def read_body(environ: dict[str, Any]) -> bytes:
    return environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))


def now() -> datetime:
    timestamp = datetime.now(UTC)
    return timestamp.replace(microsecond=timestamp.microsecond // 1000 * 1000)


def format_timestamp(value: datetime | None) -> str | None:
    """Format a UTC timestamp as the API does."""
    return None if value is None else value.isoformat(timespec="milliseconds")[:-6] + "Z"


def new_id() -> str:
    return str(uuid_utils.uuid7())
