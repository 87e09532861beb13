"""Feed and webhook events in OpenAPI: a schema for each type, and `webhooks`."""

from typing import Any

from apispec import APISpec

from schemas.base import response_example
from schemas.feed_events import FEED_EVENTS, WEBHOOK_EVENTS

DESCRIPTION = (
    "Signed according to Standard Webhooks 1.0.0 and sent at least once. Verify the signature, and skip any "
    "`webhook-id` that you have already processed."
)
HEADERS = {
    "webhook-id": "Id of the event. The same for every attempt.",
    "webhook-timestamp": "Time of the attempt, in seconds since 1970.",
    "webhook-signature": "Signatures of `{id}.{timestamp}.{body}`, separated by spaces.",
}
RESPONSES = {
    "2XX": {"description": "Received. Any other response is retried."},
    "410": {"description": "The receiver is gone. The webhook is disabled."},
}


def add_schemas(spec: APISpec) -> None:
    """Add a schema for each event type."""
    for schema in WEBHOOK_EVENTS.values():
        spec.components.schema(schema.__name__, schema=schema)


def complete(document: dict[str, Any]) -> None:
    """Replace the feed's event with a union of the event types, and add the webhooks."""
    event = document["components"]["schemas"]["FeedEvent"]
    mapping = {name: _reference(schema) for name, schema in FEED_EVENTS.items()}
    document["components"]["schemas"]["FeedEvent"] = {
        "description": event["description"],
        "oneOf": [{"$ref": reference} for reference in mapping.values()],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }
    document["webhooks"] = {name: {"post": _operation(schema)} for name, schema in WEBHOOK_EVENTS.items()}


def _reference(schema: Any) -> str:
    return f"#/components/schemas/{schema.__name__}"


def _operation(schema: Any) -> dict[str, Any]:
    media = {"schema": {"$ref": _reference(schema)}, "example": response_example(schema())}
    return {
        "operationId": f"on{schema.__name__}",
        "summary": schema.Meta.description,
        "description": DESCRIPTION,
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [
            {
                "in": "header",
                "name": name,
                "required": True,
                "schema": {"type": "string"},
                "description": text,
            }
            for name, text in HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": media}},
        "responses": RESPONSES,
    }
