"""Emails and webhooks: addresses, signatures, retries and event types."""
