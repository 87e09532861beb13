"""Create, update and delete webhooks."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from errors import TooManyWebhooks
from models.base import clock, db
from models.orgs import Organization
from models.webhooks.tables import Webhook, WebhookDelivery
from rules.delivery import webhook_signatures
from rules.timestamps import format_timestamp

MAX_WEBHOOKS = 20
MAX_FORMER_SECRETS = 4
# After a rotation, deliveries are signed with both secrets for this long.
ROTATION_OVERLAP = timedelta(days=1)


def create(organization: Organization, **values: Any) -> Webhook:
    """Create a webhook with a new secret. Raises TooManyWebhooks."""
    with db.atomic():
        organization.lock()
        if Webhook.alive().where(Webhook.organization == organization).count() >= MAX_WEBHOOKS:
            raise TooManyWebhooks()
        secret = webhook_signatures.generate_secret()
        return Webhook.create(organization=organization, secret=secret, **values)


def update(hook: Webhook, values: dict[str, Any], check: Callable[[], None] = lambda: None) -> Webhook:
    """Update a webhook. `enabled` pauses it, or enables it and resets its failures.

    check -- called after the row is locked
    """
    with db.atomic():
        hook = hook.lock()
        check()
        enabled = values.pop("enabled", None)
        changes = hook.changed_columns(values)
        if "url" in changes:
            changes |= {"held_until": None, "failing_since": None}
        if changes:
            hook.update_columns(updated_at=clock.now(), **changes)
        if enabled and not hook.is_enabled:
            columns = dict.fromkeys(("disabled_reason", "disabled_at", "failing_since", "held_until"))
            hook.update_columns(**columns, updated_at=clock.now())
        elif enabled is False and hook.is_enabled:
            disable(hook, "paused")
    return hook


def rotate_secret(hook: Webhook) -> Webhook:
    """Replace the webhook's secret; the former secret stays valid for ROTATION_OVERLAP."""
    with db.atomic():
        hook = hook.lock()
        until = format_timestamp(clock.now() + ROTATION_OVERLAP)
        former = [{"secret": hook.secret, "until": until}, *hook.valid_former_secrets][:MAX_FORMER_SECRETS]
        secret = webhook_signatures.generate_secret()
        hook.update_columns(secret=secret, former_secrets=former, updated_at=clock.now())
    return hook


def delete(hook: Webhook) -> None:
    """Delete the webhook and its secrets, and cancel its queued deliveries."""
    with db.atomic():
        hook.set_once("deleted_at", secret="", former_secrets=[])
        WebhookDelivery.cancel_queued(hook)


def disable(hook: Webhook, reason: str) -> None:
    """Disable the webhook and cancel its queued deliveries, which reviewers can redeliver."""
    hook.update_columns(disabled_reason=reason, disabled_at=clock.now(), updated_at=clock.now())
    WebhookDelivery.cancel_queued(hook)
