"""Numbers assigned after the commit: for the feed, the audit log's chain and the seals.

A writer cannot number its own row: it may commit after a reader has passed that number. The worker numbers committed
rows instead, each batch under the owner's lock, so that a reader who sees a number also sees all smaller ones.
"""

from collections.abc import Callable
from typing import Any, Self

import peewee

from models.base import Model, Query, for_update
from models.orgs import Organization
from models.task_failures import run_each

# After this many batches of one owner, the next owner follows.
MAX_BATCHES = 20


class NotNumbered(Exception):
    """A row cannot be updated, for example because its id was stored in a different form."""


def number_all(task: str, owners: Query, number_batch: Callable[[Any], int]) -> int:
    """Number the waiting rows of each owner, batch by batch; returns how many.

    owners -- selects the owner of each waiting row
    number_batch -- numbers some of an owner's rows in one transaction and returns how many. Raises NotNumbered if a row
        was not updated, since the next batch would select it again.
    """

    def number(owner: Any) -> int:
        total = 0
        for _ in range(MAX_BATCHES):
            count = number_batch(owner)
            total += count
            if not count:
                break
        return total

    rows: Any = owners.distinct().tuples()
    return run_each(task, [owner for (owner,) in rows], number)


def require_change(row: Model, changed_rows: int) -> None:
    """Raise NotNumbered if an update changed no row."""
    if not changed_rows:
        raise NotNumbered(f"{type(row).__name__} {row.id} was not updated.")


class Sequence(Model):
    """An organization's last number; its row is the lock under which numbers are assigned."""

    organization = peewee.ForeignKeyField(Organization, unique=True)

    @classmethod
    def locked_for(cls, organization_id: Any) -> Self:
        """The organization's row, created if missing, locked until the transaction ends."""
        cls.insert(organization=organization_id).on_conflict_ignore().execute()
        return for_update(cls.select().where(cls.organization == organization_id)).get()
