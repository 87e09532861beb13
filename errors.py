"""Every refusal, and the one shape a refusal has (R26)."""

import logging
import sqlite3
from typing import Any

import peewee
from flask import Flask, current_app
from playhouse.pool import MaxConnectionsExceeded
from werkzeug.exceptions import HTTPException

log = logging.getLogger("proofstone")

# How soon to ask again where somebody has to make room first.
ROOM_SECONDS = 60


class Refusal(HTTPException):
    """A named refusal: `code` is the HTTP status, `reason` the stable machine code, `sentence` what a person reads."""

    code = 400
    reason = "bad_request"
    sentence = "The request cannot be served."

    # Seconds after which it may be otherwise.
    retry_after: int | None = None

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
    """400: query or body are not what the operation wants; `details` names the places."""

    reason = "invalid_request"
    sentence = "The request is not valid; the details name what is wrong and what is wanted."


def invalid(path: str | list, message: str) -> Invalid:
    """An Invalid that names one place."""
    place = [path] if isinstance(path, str) else path
    return Invalid(details=[{"path": place, "message": message}])


class Unauthenticated(Refusal):
    """401: one answer for a missing, malformed, unknown, revoked or expired credential (R1)."""

    code = 401
    reason = "unauthorized"
    sentence = (
        "This needs a valid credential: a reviewer's token as `Authorization: Bearer`, "
        "or a candidate's key as `X-API-Key`."
    )

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [("WWW-Authenticate", "Bearer")]


class MetricsTokenRequired(Unauthenticated):
    """401: the page of the metrics is for who has the METRICS_TOKEN."""

    sentence = "This needs the service's METRICS_TOKEN as `Authorization: Bearer`."


class InsufficientScope(Refusal):
    """403: the token is right, but may only read (R1)."""

    code = 403
    reason = "insufficient_scope"
    sentence = "This token may not do that; the operation needs a token with the scope `write`."


class SubscriptionRequired(Refusal):
    """402: `reason` is `no_subscription`, `trial_expired` or `subscription_inactive` (R11)."""

    code = 402
    reason = "subscription_inactive"
    SENTENCES = {
        "no_subscription": "The organization has no subscription.",
        "trial_expired": "The organization's trial has expired.",
        "subscription_inactive": "The organization's subscription is not active.",
    }

    def __init__(self, reason: str = "subscription_inactive"):
        super().__init__(self.SENTENCES[reason])
        self.reason = reason


class NotFound(Refusal):
    """404: not there, or not the caller's to see; one body for both (R2)."""

    code = 404
    reason = "not_found"
    sentence = "There is nothing here by that address that you can see."


class QuotaExceeded(Refusal):
    """403: the month's assessments are used up; the body carries `used` and `quota` (R10)."""

    code = 403
    reason = "quota_exceeded"
    sentence = "The plan's monthly quota of assessments is used up."


class TooLarge(Refusal):
    """413: the body is larger than the operation takes."""

    code = 413
    reason = "too_large"
    sentence = "The body is larger than this operation takes."


class LengthRequired(Refusal):
    """411: an upload must tell its length."""

    code = 411
    reason = "length_required"
    sentence = "The upload must tell its length in the header Content-Length."


class Incomplete(Refusal):
    """400: the body ended before its length; nothing of it is kept."""

    reason = "incomplete"
    sentence = "The body ended before its length; nothing of it was kept."


class UploadRefused(Refusal):
    """403: the address of an upload was not given out by this service, or has expired."""

    code = 403
    reason = "upload_refused"
    sentence = "This address for an upload is not valid or has expired; ask for a new one."


class KeyNotFound(Refusal):
    """404: the key in body or query is unknown, revoked, or of a deleted assessment (R30)."""

    code = 404
    reason = "key_not_found"
    sentence = "This candidate key is not known. Check it letter by letter, or ask whoever invited you for a new one."


class KeyExpired(Refusal):
    """410: the key expired before it was redeemed (R30)."""

    code = 410
    reason = "key_expired"
    sentence = "This candidate key has expired. Ask whoever invited you for a new one."


class ConsentRequired(Refusal):
    """403: nothing is recorded about a candidate who has not agreed (R28)."""

    code = 403
    reason = "consent_required"
    sentence = "Please read what is recorded and agree to it first; then start again."


class DisclosureOutdated(Refusal):
    """409: the disclosure that was shown is not the current one; nothing was recorded (contract 3.4)."""

    code = 409
    reason = "disclosure_outdated"
    sentence = "The text that was shown is not the current one. Please update your client and read it again."


class Conflict(Refusal):
    """409: the request contradicts what is stored."""

    code = 409
    reason = "conflict"
    sentence = "This contradicts what is already stored."


class AlreadyRedeemed(Conflict):
    """409: the session has begun or ended, and nobody allowed one more redeem (R31)."""

    reason = "already_redeemed"
    sentence = (
        "This key has already been used to start a session. If you changed computers or lost your workspace, "
        "ask whoever invited you to allow one more start."
    )


class NotRedeemed(Conflict):
    """409: the key has not been redeemed, so there is no session yet (R29)."""

    reason = "not_redeemed"
    sentence = "This key has not been redeemed yet; start the session first."


class SessionClosed(Conflict):
    """409: the session closed too long ago to take this (R18)."""

    reason = "session_closed"
    sentence = "This session has been closed."


class AssessmentClosed(Conflict):
    """409: the session takes no bundle and no submission any more; `completedAt` is the moment of its end (R18)."""

    reason = "assessment_closed"
    sentence = "This assessment has been submitted and is closed."


class NotFinished(Conflict):
    """409: only a session that has completed or expired can be marked as hired (R17)."""

    reason = "not_finished"
    sentence = "Only a candidate whose session has completed or expired can be marked as hired."


class AlreadyBegun(Conflict):
    """409: what a candidate was shown stays what it was; `entries` name what cannot change any more."""

    reason = "already_begun"
    sentence = "A candidate has begun, so what candidates are shown cannot change any more."


class KeyRedeemed(Conflict):
    """409: the key was redeemed, and its expiry means nothing any more (R4)."""

    reason = "key_redeemed"
    sentence = "This key has been redeemed; its expiry does not matter any more."


class KeyNotExpired(Conflict):
    """409: there is nothing to reopen; `extend` changes the expiry of an open key."""

    reason = "not_expired"
    sentence = "This key has not expired; extend it instead."


class KeyIsExpired(Conflict):
    """409: the key expired before it was redeemed; it has to be reopened first."""

    reason = "expired"
    sentence = "This key has expired; reopen it first."


class SessionEnded(Conflict):
    """409: the candidate's session has ended, and nothing is left to be invited to."""

    reason = "session_ended"
    sentence = "The session of this candidate has ended."


class NoAddress(Conflict):
    """409: there is no address to send an invitation to."""

    reason = "no_address"
    sentence = "This candidate has no email address; set one first."


class TimeIsOver(Conflict):
    """409: with this accommodation the time would be over already."""

    reason = "time_is_over"
    sentence = "With this the candidate's time would be over already."


class DuplicateCandidates(Conflict):
    """409: addresses that have an open key for the assessment; `entries` name them."""

    reason = "duplicate_candidates"
    sentence = (
        "Some of these addresses have an open key for this assessment, or stand twice; no key was generated."
    )


class NotFailed(Conflict):
    """409: only a delivery that failed can be tried again."""

    reason = "not_failed"
    sentence = "Only a delivery that has failed can be tried again."


class NoRubric(Conflict):
    """409: the session's assessment has no rubric to score by."""

    reason = "no_rubric"
    sentence = "The assessment has no rubric, so there is nothing to score by."


class BundleChanged(Conflict):
    """409: what lies in the store is not the bundle that was verified when it was submitted."""

    reason = "bundle_changed"
    sentence = (
        "What lies in the store is not the bundle that the candidate submitted: it was overwritten since."
    )


class Erased(Conflict):
    """409: the candidate's data was erased, and nothing is written about a person any more."""

    reason = "erased"
    sentence = "The data of this candidate has been erased; only numbers are left."


class WebhookDisabled(Conflict):
    """409: the webhook is switched off, so nothing is sent to it."""

    reason = "webhook_disabled"
    sentence = "This webhook is switched off; switch it on again first."


class TooManyWebhooks(Conflict):
    """409: every event is sent to each webhook, so that an organization has a limited number of them."""

    reason = "too_many_webhooks"
    sentence = "The organization has as many webhooks as it can have; delete one first."


class CursorExpired(Refusal):
    """410: events after the cursor are past the time for which they are kept."""

    code = 410
    reason = "cursor_expired"
    sentence = "Events after this cursor are not kept any more. Ask without a cursor for the oldest that are."


class LastWriteToken(Conflict):
    """409: without this token nobody could manage the organization any more."""

    reason = "last_write_token"
    sentence = (
        "This is the organization's last token with the scope `write`; create another one before revoking it."
    )


class RubricInUse(Conflict):
    """409: assessments refer to the rubric; the body names them."""

    reason = "rubric_in_use"
    sentence = "The rubric is used by assessments and cannot be deleted."


class KeyReused(Refusal):
    """422: the `Idempotency-Key` belongs to another request of the last 24 hours."""

    code = 422
    reason = "idempotency_key_reused"
    sentence = "This Idempotency-Key was used for another request; a new request needs a new key."


class InProgress(Conflict):
    """409: the first request with this `Idempotency-Key` is still being worked on."""

    reason = "in_progress"
    sentence = (
        "A request with this Idempotency-Key is still being worked on. Please send it again in a few seconds."
    )
    retry_after = 5


class TooManyRequests(Refusal):
    """429: an allowance is used up; the header Retry-After says for how long."""

    code = 429
    reason = "too_many_requests"
    sentence = "These are too many requests. Please wait as long as the header Retry-After says."


class Unavailable(Refusal):
    """503: the database is away; the same request can be sent again."""

    code = 503
    reason = "unavailable"
    sentence = "The service cannot reach its database at the moment. Please try again in a few seconds."
    retry_after = 2


class Busy(Unavailable):
    """503: the database ended the transaction for the sake of another one; nothing of it is done."""

    sentence = "The database gave way to another request. Please try again in a few seconds."


class DatabaseFull(Unavailable):
    """503: the database's server has no room; nothing was kept, and the same request can be sent again."""

    reason = "database_full"
    sentence = (
        "The database has no room at the moment, and nothing was kept. Please try again in a few minutes."
    )
    retry_after = ROOM_SECONDS


class DiskFull(Refusal):
    """507: the disk of the service itself is full; nothing was kept, and the same request can be sent again."""

    code = 507
    reason = "disk_full"
    sentence = "The service's disk is full, and nothing was kept. Please try again in a few minutes."
    retry_after = ROOM_SECONDS


class StoreUnavailable(Unavailable):
    """503: the store of bundles is away; the same request can be sent again."""

    reason = "store_unavailable"
    sentence = (
        "The service cannot reach its store of bundles at the moment. Please try again in a few seconds."
    )


class NotReady(Unavailable):
    """503: a part that the service needs is not there; `parts` says which."""

    reason = "not_ready"
    sentence = "The service is not ready: a part of it is missing at the moment. `parts` says which."


PLAIN = {
    400: ("bad_request", "The request cannot be understood."),
    404: ("not_found", NotFound.sentence),
    405: (
        "method_not_allowed",
        "This address does not answer to that method; the header Allow lists those it does.",
    ),
    413: ("too_large", "The body is larger than this operation takes."),
    414: ("uri_too_long", "The address is too long."),
    415: ("unsupported_media_type", "The body must be sent as application/json."),
    429: (TooManyRequests.reason, TooManyRequests.sentence),
    431: ("headers_too_large", "The headers are too large."),
    500: ("internal_error", "Something went wrong on the server. It has been logged."),
}


def answer(error: HTTPException) -> tuple[dict, int, list]:
    """Any HTTP error as the one shape; headers such as Allow survive, nothing of the inside shows."""
    if isinstance(error, Refusal):
        return error.payload, error.code, error.get_headers()
    status = error.code or 500
    reason, sentence = PLAIN.get(status, ("http_error", "The request cannot be served."))
    kept = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    return {"error": sentence, "code": reason}, status, kept


# What an error of the database means, by its SQLSTATE, where its class alone does not say it (`meaning_of`).
READ_ONLY = "25006"
MEANINGS: dict[str, type[Refusal]] = {
    READ_ONLY: Unavailable,  # The server was a primary until another took its place.
    "25P02": Unavailable,  # The transaction went on although a statement of it had failed so.
    "25P03": Unavailable,  # The server gave up waiting for us.
    "40001": Busy,
    "40P01": Busy,
    "53100": DatabaseFull,
}
# The same by SQLite's own code. What is not here is a fault of ours, since SQLite's driver makes an OperationalError
# of a mistake in a statement too.
SQLITE_MEANINGS: dict[int, type[Refusal]] = {
    sqlite3.SQLITE_BUSY: Unavailable,
    sqlite3.SQLITE_LOCKED: Unavailable,
    sqlite3.SQLITE_CANTOPEN: Unavailable,
    sqlite3.SQLITE_IOERR: Unavailable,
    sqlite3.SQLITE_IOERR_SHMSIZE: DiskFull,
    sqlite3.SQLITE_FULL: DiskFull,
}
AWAY = (peewee.OperationalError, peewee.InterfaceError, MaxConnectionsExceeded)


def meaning_of(error: BaseException) -> type[Refusal] | None:
    """What an error of the database is answered with; None for a fault of ours.

    The driver's plain DatabaseError is what becomes of a connection that breaks in the middle of an answer. An error
    during the rollback hides the one that caused it.
    """
    if (context := error.__context__) and (meaning := meaning_of(context)):
        return meaning
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return SQLITE_MEANINGS.get(code) or SQLITE_MEANINGS.get(code & 0xFF)
    by_state = MEANINGS.get(sqlstate(error) or "")
    is_away = isinstance(error, AWAY) or type(error) is peewee.DatabaseError
    return by_state or (Unavailable if is_away else None)


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's five letters for what went wrong, where it was there to say it."""
    return getattr(getattr(error, "orig", None), "pgcode", None)


def register(app: Flask) -> None:
    """HTTP's errors in the one shape, and those of the database, each as the one that it means."""
    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(peewee.DoesNotExist, _has_gone)
    app.register_error_handler(peewee.IntegrityError, _conflict)
    for kind in (peewee.DatabaseError, *AWAY):
        app.register_error_handler(kind, _refused_by_database)


def _has_gone(error: Exception) -> tuple[dict, int, list]:
    """What was found at first was deleted, or locked out, before it could be shown."""
    log.warning("A row went in the middle of a request: %s", type(error).__name__)
    return answer(NotFound())


def _conflict(error: Exception) -> tuple[dict, int, list]:
    log.warning("A constraint of the database refused a request: %s", type(error).__name__)
    return answer(Conflict())


def _refused_by_database(error: Exception) -> tuple[dict, int, list]:
    if meaning_of(error) is None:
        # No fault of ours where the code is newer than the database's schema: it was not upgraded.
        parts = current_app.extensions["readiness"].parts()
        if parts["migrations"] == "behind":
            return answer(NotReady(parts=parts))
    return answer(refusal_of(error))


def refusal_of(error: Exception) -> Refusal:
    """The refusal for an error of the database, and a line in the log; a fault of ours is raised again."""
    meaning = meaning_of(error)
    if meaning is None:
        raise error
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    log.error("The database is away or refuses (%s): %s", meaning.reason, said)
    return meaning()
