"""Every refusal: its status, code and message, in the one shape of R26."""

import logging
import sqlite3
from typing import Any

import peewee
from playhouse.pool import MaxConnectionsExceeded
from werkzeug.exceptions import HTTPException

log = logging.getLogger("proofstone")

# For `Retry-After` where somebody has to free disk space first.
DISK_RETRY_SECONDS = 60


class Refusal(HTTPException):
    """An error response: `code` is the HTTP status, `reason` the machine code, `sentence` the message."""

    code = 400
    reason = "bad_request"
    sentence = "The request cannot be processed."
    retry_after: int | None = None  # seconds

    def __init__(
        self,
        sentence: str | None = None,
        *,
        details: list[dict] | None = None,
        retry_after: int | None = None,
        **members: Any,
    ):
        super().__init__()
        self.sentence = sentence or self.sentence
        self.details = details
        self.retry_after = retry_after or self.retry_after
        self.members = members

    @property
    def payload(self) -> dict[str, Any]:
        body = {"error": self.sentence, "code": self.reason, **self.members}
        return body | {"details": self.details} if self.details is not None else body

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [("Retry-After", str(self.retry_after))] if self.retry_after else []


class Invalid(Refusal):
    """400: query or body are invalid; `details` names the members."""

    reason = "invalid_request"
    sentence = "The request is invalid. See `details`."


def invalid(path: str | list, message: str) -> Invalid:
    """An Invalid that names one member."""
    return Invalid(details=[{"path": [path] if isinstance(path, str) else path, "message": message}])


class Unauthenticated(Refusal):
    """401: the credential is missing, malformed, unknown, revoked or expired (R1)."""

    code = 401
    reason = "unauthorized"
    sentence = (
        "A valid credential is required: an API token in `Authorization: Bearer`, or a key in `X-API-Key`."
    )

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [("WWW-Authenticate", "Bearer")]


class MetricsTokenRequired(Unauthenticated):
    """401: /metrics needs the METRICS_TOKEN."""

    sentence = "The service's METRICS_TOKEN is required as `Authorization: Bearer`."


class InsufficientScope(Refusal):
    """403: the API token may only read (R1)."""

    code = 403
    reason = "insufficient_scope"
    sentence = "This operation requires a token with the scope `write`."


class SubscriptionRequired(Refusal):
    """402: the subscription does not allow new work; `reason` says why (R11)."""

    code = 402
    reason = "subscription_inactive"
    SENTENCES = {
        "no_subscription": "The organization has no subscription.",
        "trial_expired": "The organization's trial has expired.",
        "subscription_inactive": "The organization's subscription is inactive.",
    }

    def __init__(self, reason: str = "subscription_inactive"):
        super().__init__(self.SENTENCES[reason])
        self.reason = reason


class NotFound(Refusal):
    """404: does not exist, or belongs to another organization; one body for both (R2)."""

    code = 404
    reason = "not_found"
    sentence = "Not found."


class QuotaExceeded(Refusal):
    """403: the monthly quota of assessments is used up; the body has `used` and `quota` (R10)."""

    code = 403
    reason = "quota_exceeded"
    sentence = "The plan's monthly quota of assessments is used up."


class TooLarge(Refusal):
    """413: the body is too large for the operation."""

    code = 413
    reason = "too_large"
    sentence = "The body is too large for this operation."


class LengthRequired(Refusal):
    """411: an upload needs a Content-Length."""

    code = 411
    reason = "length_required"
    sentence = "The upload requires the header Content-Length."


class Incomplete(Refusal):
    """400: the body ended early; nothing was stored."""

    reason = "incomplete"
    sentence = "The body ended before its Content-Length. Nothing was stored."


class UploadRefused(Refusal):
    """403: the upload URL is not one of this service's, or has expired."""

    code = 403
    reason = "upload_refused"
    sentence = "This upload URL is invalid or has expired. Request a new one."


class KeyNotFound(Refusal):
    """404: the key in body or query is unknown, revoked or of a deleted assessment (R30)."""

    code = 404
    reason = "key_not_found"
    sentence = "Unknown candidate key. Check it for typos, or ask the hiring team for a new one."


class KeyExpired(Refusal):
    """410: the key expired before it was redeemed (R30)."""

    code = 410
    reason = "key_expired"
    sentence = "This candidate key has expired. Ask the hiring team for a new one."


class ConsentRequired(Refusal):
    """403: the candidate has not consented yet (R28)."""

    code = 403
    reason = "consent_required"
    sentence = "Read and accept the disclosure first, then start again."


class DisclosureOutdated(Refusal):
    """409: the accepted disclosure is not the current one; nothing was recorded."""

    code = 409
    reason = "disclosure_outdated"
    sentence = "The disclosure has changed. Update your client and read it again."


class Conflict(Refusal):
    """409: the request contradicts what is stored."""

    code = 409
    reason = "conflict"
    sentence = "The request conflicts with the stored state."


class AlreadyRedeemed(Conflict):
    """409: the session has events or has ended, and no further redeem was allowed (R31)."""

    reason = "already_redeemed"
    sentence = (
        "This key has already started a session. If you changed computers or lost your workspace, "
        "ask the hiring team to allow one more start."
    )


class NotRedeemed(Conflict):
    """409: the key has no session yet (R29)."""

    reason = "not_redeemed"
    sentence = "This key has not been redeemed. Start the session first."


class SessionClosed(Conflict):
    """409: the session closed too long ago (R18)."""

    reason = "session_closed"
    sentence = "This session is closed."


class AssessmentClosed(Conflict):
    """409: the session accepts no more submissions; the body has `completedAt` (R18)."""

    reason = "assessment_closed"
    sentence = "This assessment has been submitted and is closed."


class NotFinished(Conflict):
    """409: only candidates with a completed or expired session can be marked as hired (R17)."""

    reason = "not_finished"
    sentence = "The candidate's session must be completed or expired before they can be marked as hired."


class AlreadyBegun(Conflict):
    """409: candidates were shown these members already; `entries` names them."""

    reason = "already_begun"
    sentence = "A candidate has started, so the members in `entries` can no longer change."


class KeyRedeemed(Conflict):
    """409: the key was redeemed, so its expiry has no effect (R4)."""

    reason = "key_redeemed"
    sentence = "This key has been redeemed. Its expiry no longer applies."


class KeyNotExpired(Conflict):
    """409: only expired keys can be reopened."""

    reason = "not_expired"
    sentence = "This key has not expired. Extend it instead."


class KeyIsExpired(Conflict):
    """409: the key expired before it was redeemed."""

    reason = "expired"
    sentence = "This key has expired. Reopen it first."


class SessionEnded(Conflict):
    """409: the candidate's session has ended."""

    reason = "session_ended"
    sentence = "The candidate's session has ended."


class NoAddress(Conflict):
    """409: the candidate has no email address."""

    reason = "no_address"
    sentence = "This candidate has no email address. Set one first."


class TimeIsOver(Conflict):
    """409: with this accommodation the candidate's time would be over."""

    reason = "time_is_over"
    sentence = "With this accommodation the candidate's time would already be over."


class DuplicateCandidates(Conflict):
    """409: some addresses have an open key for the assessment; `entries` names them."""

    reason = "duplicate_candidates"
    sentence = "Some addresses have an open key for this assessment or appear twice. No key was generated."


class NotFailed(Conflict):
    """409: only failed deliveries can be retried."""

    reason = "not_failed"
    sentence = "Only a failed delivery can be retried."


class NoRubric(Conflict):
    """409: the session's assessment has no rubric."""

    reason = "no_rubric"
    sentence = "The assessment has no rubric. Set `rubricId` first."


class BundleChanged(Conflict):
    """409: the stored bundle differs from the one verified at submission."""

    reason = "bundle_changed"
    sentence = "The stored bundle was overwritten after the candidate submitted it."


class Erased(Conflict):
    """409: the candidate's data was erased."""

    reason = "erased"
    sentence = "This candidate's data has been erased. Only numbers remain."


class WebhookDisabled(Conflict):
    """409: the webhook is disabled."""

    reason = "webhook_disabled"
    sentence = "This webhook is disabled. Enable it first."


class TooManyWebhooks(Conflict):
    """409: the organization has the maximum number of webhooks."""

    reason = "too_many_webhooks"
    sentence = "The organization has the maximum number of webhooks. Delete one first."


class CursorExpired(Refusal):
    """410: events after the cursor have been deleted."""

    code = 410
    reason = "cursor_expired"
    sentence = "Events after this cursor have been deleted. Omit the cursor to start at the oldest event."


class LastWriteToken(Conflict):
    """409: without this token nobody could manage the organization."""

    reason = "last_write_token"
    sentence = (
        "This is the organization's last token with the scope `write`. Create another one before revoking it."
    )


class RubricInUse(Conflict):
    """409: assessments refer to the rubric; the body names them."""

    reason = "rubric_in_use"
    sentence = "Assessments use this rubric, so it cannot be deleted."


class KeyReused(Refusal):
    """422: the `Idempotency-Key` belongs to a different request of the last 24 hours."""

    code = 422
    reason = "idempotency_key_reused"
    sentence = "This Idempotency-Key was used for a different request. Use a new key for a new request."


class InProgress(Conflict):
    """409: the first request with this `Idempotency-Key` is still running."""

    reason = "in_progress"
    sentence = "A request with this Idempotency-Key is still running. Retry in a few seconds."
    retry_after = 5


class TooManyRequests(Refusal):
    """429: the rate limit is reached; Retry-After says for how long."""

    code = 429
    reason = "too_many_requests"
    sentence = "Too many requests. Retry after the seconds in the header Retry-After."


class Unavailable(Refusal):
    """503: the database is unreachable; the same request can be retried."""

    code = 503
    reason = "unavailable"
    sentence = "The database is unreachable. Retry in a few seconds."
    retry_after = 2


class Busy(Unavailable):
    """503: the database aborted the transaction in favor of another one; nothing was changed."""

    sentence = "The database is busy. Retry in a few seconds."


class DatabaseFull(Unavailable):
    """503: the database server is out of disk space; nothing was stored."""

    reason = "database_full"
    sentence = "The database is out of disk space. Nothing was stored. Retry in a few minutes."
    retry_after = DISK_RETRY_SECONDS


class DiskFull(Refusal):
    """507: the service's disk is full; nothing was stored."""

    code = 507
    reason = "disk_full"
    sentence = "The service's disk is full. Nothing was stored. Retry in a few minutes."
    retry_after = DISK_RETRY_SECONDS


class StoreUnavailable(Unavailable):
    """503: the bundle store is unreachable; the same request can be retried."""

    reason = "store_unavailable"
    sentence = "The bundle store is unreachable. Retry in a few seconds."


class NotReady(Unavailable):
    """503: a part of the service is missing; `parts` says which."""

    reason = "not_ready"
    sentence = "The service is not ready. See `parts`."


# Errors that Flask and Werkzeug raise, by status.
HTTP_ERRORS = {
    400: ("bad_request", "The request is malformed."),
    404: (NotFound.reason, NotFound.sentence),
    405: ("method_not_allowed", "This method is not allowed here. See the header Allow."),
    413: (TooLarge.reason, TooLarge.sentence),
    414: ("uri_too_long", "The URL is too long."),
    415: ("unsupported_media_type", "The body must be sent as application/json."),
    429: (TooManyRequests.reason, TooManyRequests.sentence),
    431: ("headers_too_large", "The headers are too large."),
    500: ("internal_error", "Internal error. It has been logged."),
}


def response_of(error: HTTPException) -> tuple[dict, int, list]:
    """The response to any HTTP error, in the one shape; headers such as Allow are kept."""
    if isinstance(error, Refusal):
        return error.payload, error.code, error.get_headers()
    status = error.code or 500
    reason, sentence = HTTP_ERRORS.get(status, ("http_error", "The request cannot be processed."))
    headers = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    return {"error": sentence, "code": reason}, status, headers


# The database's errors: PostgreSQL's by SQLSTATE, SQLite's by its code. What is not listed is a bug, since SQLite's
# driver raises OperationalError for a wrong statement too.
READ_ONLY = "25006"
POSTGRES_ERRORS: dict[str, type[Refusal]] = {
    READ_ONLY: Unavailable,  # The server was the primary until a failover.
    "25P02": Unavailable,  # The transaction is aborted.
    "25P03": Unavailable,  # The server closed an idle transaction.
    "40001": Busy,
    "40P01": Busy,
    "53100": DatabaseFull,
}
SQLITE_ERRORS: dict[int, type[Refusal]] = {
    sqlite3.SQLITE_BUSY: Unavailable,
    sqlite3.SQLITE_LOCKED: Unavailable,
    sqlite3.SQLITE_CANTOPEN: Unavailable,
    sqlite3.SQLITE_IOERR: Unavailable,
    sqlite3.SQLITE_IOERR_SHMSIZE: DiskFull,
    sqlite3.SQLITE_FULL: DiskFull,
}
CONNECTION_ERRORS = (peewee.OperationalError, peewee.InterfaceError, MaxConnectionsExceeded)


def refusal_for(error: BaseException) -> type[Refusal] | None:
    """The refusal for a database error; None for a bug.

    The driver raises a plain DatabaseError when a connection breaks during a response.
    """
    # After SQLite has ended a transaction, its rollback fails and hides the reason.
    if (context := error.__context__) and (refusal := refusal_for(context)):
        return refusal
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return SQLITE_ERRORS.get(code) or SQLITE_ERRORS.get(code & 0xFF)
    by_state = POSTGRES_ERRORS.get(sqlstate(error) or "")
    is_connection = isinstance(error, CONNECTION_ERRORS) or type(error) is peewee.DatabaseError
    return by_state or (Unavailable if is_connection else None)


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's five-character error code, if the server sent one."""
    return getattr(getattr(error, "orig", None), "pgcode", None)


def first_line(error: BaseException) -> str:
    """An error's first line, for logs and the terminal."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def refuse_database_error(error: Exception) -> Refusal:
    """Log a database error and return its refusal. Re-raises a bug."""
    refusal = refusal_for(error)
    if refusal is None:
        raise error
    log.error("Database error (%s): %s", refusal.reason, first_line(error))
    return refusal()
