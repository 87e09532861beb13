"""The caller's to-do lists."""

from schemas import common
from schemas.base import Schema, shape
from schemas.fields import Choice, Flag, Id, Integer, ListOf, Nested, String
from schemas.invitations import KINDS
from schemas.queries import Filter, Limit
from schemas.timestamps import Timestamp
from schemas.webhooks import EXAMPLE_URL, REASONS

DEFAULT_LIMIT = 20


class TodoQuery(Filter):
    """The lists' length."""

    limit = Limit(DEFAULT_LIMIT)


class WaitingCandidate(Schema):
    """A candidate. Name and address are null in a blind assessment until the caller has scored the session."""

    candidate_id = Id("Id of the candidate key.")
    candidate_name = common.CANDIDATE_NAME
    candidate_email = common.CANDIDATE_EMAIL
    external_id = common.EXTERNAL_ID
    blind = Flag(
        "True if the assessment hides names and addresses until the caller has scored.", example=False
    )
    assessment_id = Id("Assessment id.")
    assessment_title = common.ASSESSMENT_TITLE


class WaitingSession(WaitingCandidate):
    """A session to score or discuss."""

    session_id = Id("Session id.")
    closed_at = Timestamp("Time when it closed; null while it is open.", null=True)


class FailedMessage(WaitingCandidate):
    """A message that could not be delivered."""

    delivery_id = Id("Id for `POST /v1/deliveries/{id}/retry`.")
    kind = Choice(KINDS, "Kind of message.", example="invitation")
    last_error = String("The email server's last error.", example="550 5.1.1 No such user", null=True)
    created_at = Timestamp("Time when it was queued.")


class ExpiringKey(WaitingCandidate):
    """A key that has not been redeemed."""

    expires_at = Timestamp("Expiry.")


class RequestedErasure(WaitingCandidate):
    """A candidate who asked for erasure."""

    erasure_requested_at = Timestamp("Time when the candidate asked.")


class FailingWebhook(Schema):
    """A webhook that fails, or that was disabled automatically."""

    webhook_id = Id("Webhook id.")
    url = String("URL that events are sent to.", example=EXAMPLE_URL)
    description = String("Purpose.", example="Applicant tracking", null=True)
    disabled_reason = Choice(
        REASONS, "Reason why it was disabled; null while it is enabled.", example="failing", null=True
    )
    failing_since = Timestamp(
        "Time of the first failure since the last success, or when it was disabled.", null=True
    )
    last_error = String(
        "The last failed attempt's error.", example="The receiver responded with 500.", null=True
    )


def _waiting(name: str, description: str, entry: type[Schema]) -> Nested:
    """Declare one of the lists."""
    waiting = shape(
        name,
        description,
        count=Integer("Number of entries, including those after `limit`.", example=3),
        entries=ListOf(entry, "The oldest entries, up to `limit`."),
    )
    return Nested(waiting, f"{description} Null if the caller cannot do this work.", null=True)


class Todo(Schema):
    """The caller's to-do lists, oldest first."""

    unscored = _waiting(
        "UnscoredSessions",
        "Closed sessions without a decision in which the caller has not scored every criterion; for service accounts, "
        "any criterion.",
        WaitingSession,
    )
    disagreements = _waiting(
        "Disagreements",
        "Undecided sessions whose reviewers' scores are at least 2 levels apart. People see sessions that they scored; "
        "service accounts see all of them.",
        WaitingSession,
    )
    failed_messages = _waiting(
        "FailedMessages",
        "Latest invitations and reminders that could not be delivered, for keys that can still be redeemed.",
        FailedMessage,
    )
    expiring_keys = _waiting("ExpiringKeys", "Keys that expire within 3 days.", ExpiringKey)
    erasure_requests = _waiting("ErasureRequests", "Erasure requests. For admins.", RequestedErasure)
    failing_webhooks = _waiting(
        "FailingWebhooks", "Webhooks that fail or were disabled automatically. For admins.", FailingWebhook
    )
