"""Webhooks and the messages to them."""

from models.webhooks.tables import Webhook, WebhookDelivery
