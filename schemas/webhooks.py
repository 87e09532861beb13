"""Webhooks and their deliveries."""

from rules.delivery.event_types import EVENT_TYPES, TEST_EVENT
from schemas import common
from schemas.base import Body, Deleted, PageOf, Schema, define_response, define_schema
from schemas.fields import Choice, Flag, Id, Integer, Line, ListOf, Nested, RepositoryUrl, String
from schemas.queries import PageQuery
from schemas.timestamps import Timestamp

STATES = ("queued", "delivered", "failed", "canceled")
REASONS = ("paused", "gone", "failing")
EXAMPLE_URL = "https://ats.example.com/hooks/proofstone"
EXAMPLE_TYPES = ["session.completed", "session.expired"]


class ReceiverUrl(RepositoryUrl):
    """An absolute https or http URL of ASCII characters with a host, without user, password or fragment."""

    default_error_messages = {
        "invalid": "Must be an absolute https URL of ASCII characters with a host and without user, password or "
        "fragment, of at most 2048 characters."
    }

    def accepts(self, text: str) -> bool:
        is_clean = text.isascii() and "@" not in text and "#" not in text
        return is_clean and text.startswith(("https://", "http://")) and super().accepts(text)


class NewWebhook(Body):
    """A new webhook."""

    url = ReceiverUrl(
        "URL to send events to: https with a public address, or an address in WEBHOOK_ALLOWED_NETWORKS.",
        example=EXAMPLE_URL,
        required=True,
    )
    description = Line(255, "Purpose.", example="Applicant tracking")
    types = ListOf(
        Choice(EVENT_TYPES),
        "Event types to send. Empty for all, including future types.",
        max=len(EVENT_TYPES),
        load_default=list,
        example=EXAMPLE_TYPES,
    )
    include_personal = Flag(
        "True if events include the candidate's name and address.", load_default=False, example=False
    )


class WebhookUpdate(Body):
    """Changes to a webhook."""

    is_update = True

    url = ReceiverUrl("New URL to send events to.", example=EXAMPLE_URL)
    description = Line(255, "Purpose; null clears it.", example="Applicant tracking", null=True)
    types = ListOf(Choice(EVENT_TYPES), "Event types to send.", max=len(EVENT_TYPES), example=EXAMPLE_TYPES)
    include_personal = Flag("True if new events include the candidate's name and address.", example=False)
    enabled = Flag("False disables the webhook and cancels its queued events.", example=True)


class Webhook(Schema):
    """A webhook, without its secret."""

    id = Id("Unique id.")
    url = String("URL that events are sent to.", example=EXAMPLE_URL)
    description = String("Purpose.", example="Applicant tracking", null=True)
    types = ListOf(Choice(EVENT_TYPES), "Event types to send. Empty for all.", example=EXAMPLE_TYPES)
    include_personal = Flag("True if events include the candidate's name and address.", example=False)
    enabled = Flag("True if events are sent.", attribute="is_enabled", example=True)
    disabled_reason = Choice(REASONS, "`gone`: a 410 response. `failing`: days without success.", null=True)
    disabled_at = Timestamp("Time when the webhook was disabled.", null=True)
    failing_since = Timestamp("First failure since the last success; null without failures.", null=True)
    last_error = String(
        "Error of the last failed attempt, even after a success.",
        example="The receiver responded with 500.",
        null=True,
    )
    last_error_at = Timestamp("Time of the last failed attempt.", null=True)
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time of the last change.")


WebhookResponse = define_response("webhook", Webhook, "The webhook.")


class ReplayedWebhook(Schema):
    """The replayed response, without the secret."""

    webhook = Nested(Webhook, "The webhook.")
    note = common.REPLAY_NOTE


class WebhookWithSecret(Schema):
    """A webhook with its secret, which is shown only once."""

    replay_schema = ReplayedWebhook

    webhook = Nested(Webhook, "The webhook.")
    secret = String("Key that signs requests.", example="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwQ0mUM6mDrpM=")


Webhooks = define_schema("Webhooks", "Webhooks, oldest first.", PageOf, webhooks=ListOf(Webhook, "Webhooks."))
DeletedWebhook = define_schema("DeletedWebhook", "The webhook is deleted.", Deleted)


class HookDeliveryQuery(PageQuery):
    """Delivery filter."""

    state = Choice(STATES, "Only deliveries in this state.")


class HookDelivery(Schema):
    """An event's delivery to a webhook."""

    id = Id("Unique id.")
    event_id = Id("Event id. The `webhook-id` of every attempt.")
    type = Choice((*EVENT_TYPES, TEST_EVENT), "Event type or `webhook.test`.", example="session.completed")
    state = Choice(STATES, "State.", example="delivered")
    attempts = Integer("Number of attempts.", example=1)
    due_at = Timestamp("Time of the next attempt, while queued.")
    attempted_at = Timestamp("Time when the last attempt ended.", null=True)
    request = String("Request body.", attribute="body", example='{"type":"session.completed"}')
    status = Integer("Status of the last response.", example=200, null=True)
    duration_ms = Integer("Duration of the last attempt, in ms.", example=84, null=True)
    answer = String("Last response body, truncated to 1 KiB.", example="ok", null=True)
    error = String(
        "Last error.", attribute="last_error", example="The receiver responded with 500.", null=True
    )
    created_at = Timestamp("Time when the delivery was queued.")


HookDeliveryResponse = define_response("delivery", HookDelivery, "The delivery.")
HookDeliveries = define_schema(
    "HookDeliveries", "Deliveries, oldest first.", PageOf, deliveries=ListOf(HookDelivery, "Deliveries.")
)
