"""Every error with its status, code and message (R26)."""

from typing import Any

from werkzeug.exceptions import HTTPException


class ApiError(HTTPException):
    """An error response: `code` is the HTTP status, `reason` the machine-readable code, `message` is for people."""

    code = 400
    reason = "bad_request"
    message = "The request cannot be processed."
    retry_after: int | None = None  # seconds

    def __init__(
        self,
        message: str | None = None,
        *,
        details: list[dict] | None = None,
        retry_after: int | None = None,
        **fields: Any,
    ):
        super().__init__()
        self.message = message or self.message
        self.details = details
        self.retry_after = retry_after or self.retry_after
        self.fields = fields

    def __str__(self) -> str:
        return self.message

    @property
    def payload(self) -> dict[str, Any]:
        body = {"error": self.message, "code": self.reason, **self.fields}
        return body | {"details": self.details} if self.details is not None else body

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [("Retry-After", str(self.retry_after))] if self.retry_after else []


def _error(code: int, reason: str, message: str, retry_after: int | None = None) -> type[ApiError]:
    name = "".join(word.capitalize() for word in reason.split("_"))
    return type(name, (ApiError,), vars() | {"__module__": __name__})


Invalid = _error(400, "invalid_request", "The request is invalid. See `details`.")
UnknownParameter = _error(400, "unknown_parameter", "Unknown query parameter.")
ReadOnlyField = _error(400, "read_only_field", "This request cannot change `status`. Omit read-only fields.")
TooManyValues = _error(400, "too_many_values", "The JSON has too many values.")
BatchTooLarge = _error(400, "batch_too_large", "The batch has too many entries.")
InvalidTelemetry = _error(400, "invalid_telemetry", "The body is not a valid OTLP logs request.")
Incomplete = _error(400, "incomplete", "The body ended before its Content-Length. Nothing was stored.")
NotFound = _error(404, "not_found", "Not found.")  # also for another organization's rows (R2)
LengthRequired = _error(411, "length_required", "The upload requires the `Content-Length` header.")
PreconditionFailed = _error(
    412, "precondition_failed", "The object has changed. Get it again and retry with its new ETag."
)
TooLarge = _error(413, "too_large", "The body is too large for this operation.")

# Access
InsufficientScope = _error(403, "insufficient_scope", "This operation requires a token with `write` scope.")
InsufficientRole = _error(403, "insufficient_role", "Your role does not allow this operation.")
ForeignOrigin = _error(
    403,
    "foreign_origin",
    "Sign-in cookies work only on the console's pages. Open the console at BASE_URL, or send an API token.",
)
HttpsRequired = _error(
    403, "https_required", "Signing in requires HTTPS. Set BASE_URL to an https URL, or use http://localhost."
)
SignInExpired = _error(410, "sign_in_expired", "This link has expired or been used. Request a new one.")
UploadRejected = _error(403, "upload_rejected", "The upload URL is invalid or expired. Request a new one.")
TooManyRequests = _error(429, "too_many_requests", "Too many requests. Retry after `Retry-After` seconds.")
LastWriteToken = _error(
    409,
    "last_write_token",
    "This is the last valid `write` token of a service account or an active admin. Create another one first.",
)
KeyReused = _error(
    422, "idempotency_key_reused", "This Idempotency-Key was used for a different request. Use a new key."
)
InProgress = _error(
    409, "in_progress", "A request with this Idempotency-Key is still running. Retry in a few seconds.", 5
)

# People
DuplicatePerson = _error(409, "duplicate_person", "A person with this email address already exists.")
LastAdmin = _error(
    409, "last_admin", "This is the organization's last active admin. Make another person an admin first."
)

# Assessments, rubrics and scores
QuotaExceeded = _error(403, "quota_exceeded", "The plan's monthly quota of assessments is used up.")
AlreadyStarted = _error(
    409, "already_started", "A candidate has started. The fields in `entries` can no longer be changed."
)
RepositoryHosted = _error(
    409, "repository_hosted", "The service hosts the repository. Delete it before you set a URL or commit."
)
NoRepository = _error(
    409, "no_repository", "A patch needs a hosted repository. Upload one first, or send an archive instead."
)
TaskFileType = _error(
    415,
    "unsupported_media_type",
    "The Content-Type must be application/zip or application/gzip. A repository can also be "
    "application/x-git-bundle, a reference solution text/x-patch.",
)
RubricInUse = _error(409, "rubric_in_use", "Assessments use this rubric, so it cannot be deleted.")
NoRubric = _error(409, "no_rubric", "The assessment has no rubric. Set `rubricId` first.")
RubricChanged = _error(409, "rubric_changed", "The rubric has changed. Get it and use the new criteria.")
ScoreChanged = _error(409, "score_changed", "This score changed since you loaded it. Get the scores again.")
Conflict = _error(409, "conflict", "The request conflicts with the stored state.")

# Keys and invitations
KeyNotFound = _error(
    404, "key_not_found", "Unknown candidate key. Check it for typos, or ask the hiring team for a new one."
)
KeyExpired = _error(410, "key_expired", "This candidate key has expired. Ask the hiring team for a new one.")
DuplicateCandidates = _error(
    409,
    "duplicate_candidates",
    "Some email addresses already have an open key for this assessment, or appear twice. No key was generated.",
)
DuplicateExternalId = _error(
    409,
    "duplicate_external_id",
    "Another candidate for this assessment has this `externalId`, or it appears twice. Nothing was stored.",
)
KeyRedeemed = _error(409, "key_redeemed", "This key has been redeemed. Its expiry no longer applies.")
KeyNotExpired = _error(409, "not_expired", "This key has not expired. Extend it instead.")
InvitationExpired = _error(409, "invitation_expired", "This key has expired. Reopen it first.")
NoEmailAddress = _error(409, "no_email_address", "This candidate has no email address. Set one first.")
EmailLimit = _error(
    429,
    "email_limit",
    "This address has reached the limit of 5 messages per assessment in 24 hours. Retry after `Retry-After` seconds.",
)
NotQueued = _error(409, "not_queued", "Only a queued message that is not being sent can be canceled.")
NotFailed = _error(409, "not_failed", "Only a failed delivery can be retried.")

# Sessions
ConsentRequired = _error(403, "consent_required", "Read and accept the disclosure first, then start again.")
DisclosureOutdated = _error(
    409, "disclosure_outdated", "The disclosure has changed. Update your client and read it again."
)
AlreadyRedeemed = _error(
    409,
    "already_redeemed",
    "This key has already started a session. If you switched computers or lost your workspace, "
    "ask the hiring team to allow another start.",
)
NotRedeemed = _error(409, "not_redeemed", "This key has not been redeemed. Start the session first.")
SessionClosed = _error(409, "session_closed", "This session is closed.")
SessionFull = _error(
    413, "session_full", "This session has reached its limit of stored events or bytes. Nothing was stored."
)
SessionEnded = _error(409, "session_ended", "The candidate's session has ended.")
AssessmentClosed = _error(
    409,
    "assessment_closed",
    "The session closed more than ten minutes ago, so submissions are no longer accepted.",
)
NotFinished = _error(409, "not_finished", "Only a candidate whose session has ended can be marked as hired.")
NoTimeLimit = _error(409, "no_time_limit", "The assessment has no time limit. Set `timeLimitMinutes` first.")
TimeLimitPassed = _error(
    409,
    "time_limit_passed",
    "With this accommodation, the time limit would already have passed. Add more minutes.",
)
BundleChanged = _error(409, "bundle_changed", "The stored bundle has changed since it was submitted.")
NotASubmission = _error(
    400,
    "not_a_submission",
    "The body must be a git bundle, or a complete zip archive with at least one file.",
)
SubmissionType = _error(
    415, "unsupported_media_type", "The Content-Type must be application/x-git-bundle or application/zip."
)
Erased = _error(409, "erased", "This candidate's data has been erased. Only anonymous numbers remain.")

# Tasks and test runs
TaskIncomplete = _error(
    409, "task_incomplete", "Upload a repository, hidden tests and a reference solution before the check."
)
CheckRunning = _error(409, "check_running", "A check of these files is running.")
TaskNotReady = _error(409, "task_not_ready", "The hidden tests are not ready. Check the task first.")
RunPending = _error(409, "run_pending", "The hidden tests of this submission are waiting or running.")
NoSubmission = _error(409, "no_submission", "The session has no submission that can be tested.")
RunCountChanged = _error(409, "run_count_changed", "The number of runs has changed. Confirm the new number.")
ClaimLost = _error(409, "claim_lost", "This job has ended or belongs to another claim. Stop it.")
InputUnavailable = _error(
    409, "input_unavailable", "The bundle store has lost or changed this file. An operator must restore it."
)

# Feed and webhooks
CursorExpired = _error(
    410,
    "cursor_expired",
    "Events after this cursor have been deleted. Omit `after` to start at the oldest event.",
)
WebhookDisabled = _error(409, "webhook_disabled", "This webhook is disabled. Enable it first.")
TooManyWebhooks = _error(
    409, "too_many_webhooks", "The organization has the maximum number of webhooks. Delete one first."
)

# Availability: the request can be retried
Unavailable = _error(503, "unavailable", "The database is unreachable. Retry in a few seconds.", 2)
Busy = _error(503, "unavailable", "The database is busy. Retry in a few seconds.", 2)


class MetricsInProgress(Unavailable):  # type: ignore[misc, valid-type]
    """503: another thread is deriving the session's metrics; the worker retries."""

    message = "The session's metrics are being derived. Retry in a few seconds."


StoreUnavailable = _error(503, "store_unavailable", "The bundle store is unreachable. Retry shortly.", 2)


class WrongStore(StoreUnavailable):  # type: ignore[misc, valid-type]
    """503: the bundle store is not this installation's. Its text is for operators, its message for candidates."""

    # An operator has to mount or configure the right store first.
    retry_after = 20

    def __init__(self, problem: str):
        super().__init__()
        self._problem = problem

    def __str__(self) -> str:
        return self._problem


NotReady = _error(503, "not_ready", "The service is not ready. See `parts`.", 2)


class UnknownLedgerKey(ApiError):
    """503: the data is signed with an unknown key, so the process cannot verify and change it."""

    code = 503
    reason = "unavailable"
    message = Unavailable.message
    retry_after = 2

    def __str__(self) -> str:
        """The reason, for operators."""
        return "The data is signed with a key that this process does not have. Add the key to LEDGER_KEYS."


# An operator has to free disk space first.
DatabaseFull = _error(
    503, "database_full", "The database is out of disk space. Nothing was stored. Retry in a few minutes.", 60
)
DiskFull = _error(507, "disk_full", "The disk is full. Nothing was stored. Retry in a few minutes.", 60)


def invalid(path: str | list, message: str) -> ApiError:
    """Return an Invalid error for one field."""
    return Invalid(details=[{"path": [path] if isinstance(path, str) else path, "message": message}])


class RecordingRequired(ConsentRequired):  # type: ignore[misc, valid-type]
    """403: nothing records the session, so tools and models cannot be used (R45).

    page -- the URL of the candidate's page
    """

    def __init__(self, page: str = "your assessment page"):
        super().__init__(
            f"Your AI tools cannot be used until you agree to the recording. Open {page} and agree there. "
            "Your session continues."
        )

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [("X-Should-Retry", "false")]


class Unauthenticated(ApiError):
    """401: the credential is missing, malformed, unknown, revoked or expired (R1)."""

    code = 401
    reason = "unauthorized"
    message = "A valid API token in `Authorization: Bearer` or key in `X-API-Key` is required."

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [("WWW-Authenticate", "Bearer")]


class MetricsTokenRequired(Unauthenticated):
    """401: /metrics needs the METRICS_TOKEN."""

    message = "The service's METRICS_TOKEN is required as `Authorization: Bearer`."


class SubscriptionRequired(ApiError):
    """402: the subscription does not allow new work. `reason` is the cause (R11)."""

    code = 402
    reason = "subscription_inactive"
    MESSAGES = {
        "no_subscription": "The organization has no subscription.",
        "trial_expired": "The organization's trial has expired.",
        "subscription_inactive": "The organization's subscription is inactive.",
    }

    def __init__(self, reason: str = "subscription_inactive"):
        super().__init__(self.MESSAGES[reason])
        self.reason = reason


OTHER_HTTP_ERROR = "http_error"
# Codes and messages of Flask's, Werkzeug's and gunicorn's errors, by status.
HTTP_ERRORS = {
    400: ("bad_request", "The request is malformed."),
    404: (NotFound.reason, NotFound.message),
    405: ("method_not_allowed", "This method is not allowed here. See the `Allow` header."),
    413: (TooLarge.reason, TooLarge.message),
    414: ("uri_too_long", "The URL is too long."),
    415: ("unsupported_media_type", "The Content-Type must be application/json."),
    417: (OTHER_HTTP_ERROR, "The only supported expectation is 100-continue."),
    429: (TooManyRequests.reason, TooManyRequests.message),
    431: ("headers_too_large", "The headers are too large."),
    500: ("internal_error", "Internal error. The error has been logged."),
}


def build_response(error: HTTPException) -> tuple[dict, int, list]:
    """Build the body, status and headers for an HTTP error (R26)."""
    if isinstance(error, ApiError):
        return error.payload, error.code, error.get_headers()
    status = error.code or 500
    reason, message = HTTP_ERRORS.get(status, (OTHER_HTTP_ERROR, "The request cannot be processed."))
    headers = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    return {"error": message, "code": reason}, status, headers


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
