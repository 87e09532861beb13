"""Random secrets of the service, created once and shared by all its processes."""

import secrets
from functools import cache

import peewee

from models.base import BytesField, Model


class ServiceSecret(Model):
    """A secret that signs values which the service itself verifies later."""

    personal_data = None
    name = peewee.TextField(unique=True)
    value = BytesField()

    @classmethod
    def named(cls, name: str) -> bytes:
        """The secret with this name, created if missing."""
        secret = cls.get_or_none(cls.name == name)
        if secret is None:
            cls.insert(name=name, value=secrets.token_bytes(32)).on_conflict_ignore().execute()
            secret = cls.get(cls.name == name)
        return secret.value


@cache
def upload_secret() -> bytes:
    """The secret that signs upload URLs."""
    return ServiceSecret.named("uploads")


@cache
def sender_secret() -> bytes:
    """The secret of the fingerprints of accepted senders."""
    return ServiceSecret.named("senders")


@cache
def recording_secret() -> bytes:
    """The secret in the ids of recorded events, so that no candidate can compute them."""
    return ServiceSecret.named("recording")
