"""Secrets of the service itself, made once and the same in all its processes."""

import secrets
from functools import cache

import peewee

from models.base import BytesField, Model


class ServiceSecret(Model):
    """Random bytes that sign what the service later checks itself, such as the addresses of uploads."""

    name = peewee.TextField(unique=True)
    value = BytesField()

    class Meta:
        table_name = "service_secrets"

    @classmethod
    def named(cls, name: str) -> bytes:
        """The secret of that name; the first process that asks makes it."""
        cls.insert(name=name, value=secrets.token_bytes(32)).on_conflict_ignore().execute()
        return cls.get(cls.name == name).value


@cache
def upload_secret() -> bytes:
    """What signs the addresses of uploads; read once in a process."""
    return ServiceSecret.named("uploads")
