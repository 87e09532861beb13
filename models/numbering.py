"""Numbers assigned after the commit: for the feed, the audit log's chain and the seals.

A writer cannot number its own row: it may commit after a reader has passed that number. The worker numbers committed
rows instead, each batch under the owner's lock, so that a reader who sees a number also sees all smaller ones.
"""

from collections.abc import Callable
from typing import Any, Self

import peewee

from models.base import Model, Query, for_update
from models.orgs import Organization


def number_all(owners: Query, number_batch: Callable[[Any], int]) -> int:
    """Number the waiting rows of each owner, batch by batch; returns how many.

    owners -- selects the owner of each waiting row
    number_batch -- numbers some of an owner's rows in one transaction and returns how many
    """
    total = 0
    rows: Any = owners.distinct().tuples()
    for (owner,) in list(rows):
        while count := number_batch(owner):
            total += count
    return total


class Sequence(Model):
    """An organization's last number; its row is the lock under which numbers are assigned."""

    organization = peewee.ForeignKeyField(Organization, unique=True)

    @classmethod
    def locked_for(cls, organization_id: Any) -> Self:
        """The organization's row, created if missing, locked until the transaction ends."""
        cls.insert(organization=organization_id).on_conflict_ignore().execute()
        return for_update(cls.select().where(cls.organization == organization_id)).get()
