"""Webhooks and their deliveries."""

from models.webhooks.tables import Webhook, WebhookDelivery
