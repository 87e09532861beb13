"""Tokens of runners. They authenticate only the runner's operations."""

from datetime import timedelta
from typing import Any

import peewee

from models.base import Model, Query, TimestampField, clock
from models.orgs import ApiToken, Organization, RecordsUse
from rules import api_tokens

# `last_used_at` is written once a minute, and a runner sends a request every 20 seconds.
MAX_SILENCE = timedelta(minutes=2)


class RunnerToken(Model, RecordsUse):
    """A runner's token, for one organization, or without one for the whole installation.

    It is not protected, because an installation's token is in no organization's ledger.
    """

    personal_data = None

    organization = peewee.ForeignKeyField(Organization, null=True)
    name = peewee.TextField()
    fingerprint = peewee.TextField(unique=True)
    last_four = peewee.TextField()
    last_used_at = TimestampField(null=True)
    revoked_at = TimestampField(null=True)

    @classmethod
    def issue(cls, organization: Organization | None, name: str) -> tuple["RunnerToken", str]:
        """Create a token. Returns it with its plaintext, which is not stored."""
        plaintext = api_tokens.generate(api_tokens.RUNNER_PREFIX)
        columns = {"fingerprint": api_tokens.fingerprint(plaintext), "last_four": plaintext[-4:]}
        return cls.create(organization=organization, name=name, **columns), plaintext

    @classmethod
    def authenticate(cls, plaintext: str) -> "RunnerToken | None":
        if not api_tokens.is_well_formed(plaintext, api_tokens.RUNNER_PREFIX):
            return None
        return cls.valid().where(cls.fingerprint == api_tokens.fingerprint(plaintext)).first()

    @classmethod
    def valid(cls) -> Query:
        return cls.select().where(cls.revoked_at.is_null())

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        """Select the organization's tokens that are not revoked."""
        return cls.valid().where(cls.organization == caller.organization_id)

    @classmethod
    def alive(cls, organization_id: Any = None) -> Query:
        """Select the tokens of runners that are running; with an organization, those that test its submissions."""
        tokens = cls.valid().where(cls.last_used_at > clock.now() - MAX_SILENCE)
        is_serving = cls.organization.is_null() | (cls.organization == organization_id)
        return tokens.where(is_serving) if organization_id else tokens

    @property
    def is_alive(self) -> bool:
        return self.last_used_at is not None and self.last_used_at > clock.now() - MAX_SILENCE

    @property
    def prefix(self) -> str:
        return api_tokens.RUNNER_PREFIX

    def revoke(self) -> None:
        """Revoke the token. Its jobs run again elsewhere. Raises NotFound."""
        self.set_once("revoked_at")
