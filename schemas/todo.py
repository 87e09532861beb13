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
    """Length of the lists."""

    limit = Limit(DEFAULT_LIMIT)


class WaitingCandidate(Schema):
    """A candidate; name and address are null in a blind assessment that the caller has not scored."""

    candidate_id = Id("Id of the candidate key.")
    candidate_name = common.CANDIDATE_NAME
    candidate_email = common.CANDIDATE_EMAIL
    external_id = common.EXTERNAL_ID
    blind = Flag("True if the assessment hides name and address until the caller has scored.", example=False)
    assessment_id = Id("Assessment id.")
    assessment_title = common.ASSESSMENT_TITLE


class WaitingSession(WaitingCandidate):
    """A session to score or to discuss."""

    session_id = Id("Session id.")
    closed_at = Timestamp("Time when it closed; null while it is open.", null=True)


class FailedMessage(WaitingCandidate):
    """A message that could not be delivered."""

    delivery_id = Id("Id for `POST /v1/deliveries/{id}/retry`.")
    kind = Choice(KINDS, "Kind of message.", example="invitation")
    last_error = String("The email server's last error.", example="550 5.1.1 No such user", null=True)
    created_at = Timestamp("Time of queuing.")


class ExpiringKey(WaitingCandidate):
    """A key that the candidate has not redeemed."""

    expires_at = Timestamp("Expiry.")


class RequestedErasure(WaitingCandidate):
    """A candidate who asked for erasure."""

    erasure_requested_at = Timestamp("Time when the candidate asked.")


class FailingWebhook(Schema):
    """A webhook that fails, or that the service disabled."""

    webhook_id = Id("Webhook id.")
    url = String("URL that events are sent to.", example=EXAMPLE_URL)
    description = String("Purpose.", example="Applicant tracking", null=True)
    disabled_reason = Choice(
        REASONS, "Reason why the service disabled it; null while it is enabled.", example="failing", null=True
    )
    failing_since = Timestamp("First failure since the last success, or when it was disabled.", null=True)
    last_error = String(
        "Error of the last failed attempt.", example="The receiver responded with 500.", null=True
    )


def _waiting(name: str, description: str, entry: type[Schema]) -> Nested:
    """A list of at most `limit` entries with the number of all; null where the caller cannot do the work."""
    waiting = shape(
        name,
        description,
        count=Integer("Number of all entries.", example=3),
        entries=ListOf(entry, "The oldest, up to `limit`."),
    )
    return Nested(waiting, f"{description} Null if the caller cannot do it.", null=True)


class Todo(Schema):
    """The caller's to-do lists, oldest first."""

    unscored = _waiting(
        "UnscoredSessions",
        "Closed sessions without a decision that the caller has not scored: a person every criterion, a service any.",
        WaitingSession,
    )
    disagreements = _waiting(
        "Disagreements",
        "Sessions without a decision whose reviewers' values are 2 levels or more apart. People see those that they "
        "scored, services all.",
        WaitingSession,
    )
    failed_messages = _waiting(
        "FailedMessages",
        "Latest invitations and reminders that could not be delivered, while the key can be redeemed.",
        FailedMessage,
    )
    expiring_keys = _waiting("ExpiringKeys", "Keys that expire within 3 days.", ExpiringKey)
    erasure_requests = _waiting("ErasureRequests", "Requests for erasure. For admins.", RequestedErasure)
    failing_webhooks = _waiting(
        "FailingWebhooks", "Webhooks that fail, or that the service disabled. For admins.", FailingWebhook
    )
