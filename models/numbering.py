"""Numbers given out after the commit: for the feed, the audit log's chain and the seals.

A number cannot be given out within the writer's transaction: a writer with an earlier number could commit after a
reader has gone past it. The worker numbers committed rows, owner by owner, each batch in a transaction that holds the
owner's lock; whoever sees a number sees all smaller ones too.
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
    rows: Any = owners.distinct().tuples()
    return sum(drain(number_batch, owner) for (owner,) in list(rows))


def drain(number_batch: Callable[[Any], int], owner: Any) -> int:
    total = 0
    while count := number_batch(owner):
        total += count
    return total


class Sequence(Model):
    """An organization's last number; its row is the lock under which numbers are given out."""

    organization = peewee.ForeignKeyField(Organization, unique=True)

    @classmethod
    def locked_for(cls, organization_id: Any) -> Self:
        """The organization's row, created if missing, locked until the transaction ends."""
        cls.insert(organization=organization_id).on_conflict_ignore().execute()
        return for_update(cls.select().where(cls.organization == organization_id)).get()
