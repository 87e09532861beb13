"""Coding agents' telemetry: OTLP over HTTP (docs/recording.md#hooks-and-telemetry). Requires rules/agents/."""

from functools import partial
from typing import Any

import peewee
from flask import Response, make_response
from werkzeug.exceptions import HTTPException

import database_errors
import errors
from access import auth, caller, concurrency, rate_limits
from blueprints import Blueprint, can_record, session_quota
from models import CandidateKey, Session, clock, sessions
from rules.agents import telemetry
from web import otlp
from web.json import MAX_EVENT_BYTES, body_limit

blp = Blueprint("Telemetry", __name__, description="OpenTelemetry from coding agents, over OTLP.")

_ERRORS: tuple[type[errors.ApiError], ...] = (
    errors.InvalidTelemetry,
    errors.TooManyValues,
    errors.Unauthenticated,
    errors.RecordingRequired,
    errors.NotRedeemed,
    errors.SessionClosed,
    errors.TooLarge,
    errors.TooManyRequests,
    errors.Unavailable,
    errors.DatabaseFull,
)
_UNSUPPORTED_TYPE = "Send OTLP in JSON, uncompressed or with gzip (OTEL_EXPORTER_OTLP_PROTOCOL=http/json)."


def _responses() -> dict[int, Any]:
    """Return an operation's responses for OpenAPI, with errors as google.rpc.Status."""
    messages_by_status: dict[int, list[str]] = {415: [_UNSUPPORTED_TYPE]}
    for error in _ERRORS:
        messages_by_status.setdefault(error.code, []).append(error.message)
    responses: dict[int, Any] = {
        status: {"description": "\n\n".join(messages), "content": _content(otlp.error(status, messages[0]))}
        for status, messages in messages_by_status.items()
    }
    success = "The number of rejected records, if any; otherwise empty."
    return responses | {200: {"description": success, "content": _content({})}}


def _content(example: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"type": "object"}, "example": example}}


def otlp_operation(view: Any) -> Any:
    """Add the authentication, limits and documentation that all OTLP operations share."""
    view = concurrency.limit(concurrency.LARGE_BODY, otlp.has_large_body)(view)
    view = body_limit(MAX_EVENT_BYTES)(view)
    view = auth.required(CandidateKey, lookups=auth.CANDIDATE_LOOKUPS)(view)
    view = rate_limits.limit(rate_limits.INGEST)(view)
    view.responses = _responses()
    return blp.doc(requestBody={"required": True, "content": _content({"resourceLogs": []})})(view)


@blp.post("/otlp/v1/logs")
@otlp_operation
def record_logs():
    """Record log records

    Send an OTLP export from Claude Code, Codex or Gemini CLI, in JSON. At most 2,048 records are accepted. Records
    without a matching event are ignored.
    """
    session = Session.get_for_key(caller)
    records, rejected = otlp.read_logs()
    if can_record(session, telemetry.CHANNEL):
        find_running = partial(sessions.find_running, session)
        recorded = telemetry.read(records, clock.now(), session.redeemed_at, find_running)
        sessions.record(session, *recorded, quota=session_quota())
    return otlp.success(rejected)


@blp.post("/otlp/v1/metrics")
@otlp_operation
def ignore_metrics():
    """Accept metrics

    Metrics are not stored, because log records contain the same numbers.
    """
    otlp.require_json()
    return otlp.success()


@blp.post("/otlp/v1/traces")
@otlp_operation
def ignore_traces():
    """Accept traces

    Traces are not stored.
    """
    otlp.require_json()
    return otlp.success()


@blp.errorhandler(HTTPException)
def _reject(error: HTTPException) -> Response:
    """Respond as google.rpc.Status. Exporters resend records after 429 and 503, and drop them after other errors."""
    body, status, headers = errors.build_response(error)
    message = _UNSUPPORTED_TYPE if status == 415 else body["error"]
    status = 503 if status == 507 else status
    return make_response(otlp.error(status, message), status, headers)


def _reject_database_error(error: Exception) -> Response:
    return _reject(database_errors.response_to_database_error(error))


for _error in (peewee.DatabaseError, *database_errors.CONNECTION_ERRORS):
    blp.register_error_handler(_error, _reject_database_error)
