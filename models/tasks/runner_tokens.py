"""Tokens of runners. They authenticate only the runner's operations."""

import peewee

from models.base import Model, TimestampField
from models.orgs import Organization


class RunnerToken(Model):
    """A runner's token, for one organization, or without one for the whole installation.

    `engine` and `runner_name` are those of the latest claim.
    """

    personal_data = None

    organization = peewee.ForeignKeyField(Organization, null=True)
    name = peewee.TextField()
    fingerprint = peewee.TextField(unique=True)
    last_four = peewee.TextField()
    engine = peewee.TextField(null=True)
    runner_name = peewee.TextField(null=True)
    last_used_at = TimestampField(null=True)
    revoked_at = TimestampField(null=True)
