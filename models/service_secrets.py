"""The service's random secrets, created once and shared by all processes."""

import secrets
from functools import cache

import peewee

from models.base import BytesField, Model


class ServiceSecret(Model):
    """A secret that never leaves the service."""

    personal_data = None
    name = peewee.TextField(unique=True)
    value = BytesField()


@cache
def service_secret(name: str) -> bytes:
    """Return the secret with this name. Creates it if missing."""
    secret = ServiceSecret.get_or_none(ServiceSecret.name == name)
    if secret is None:
        ServiceSecret.insert(name=name, value=secrets.token_bytes(32)).on_conflict_ignore().execute()
        secret = ServiceSecret.get(ServiceSecret.name == name)
    return secret.value
