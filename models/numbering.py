"""Assign numbers after the commit: for the feed and the ledger.

A writer cannot number its own row, because it could commit after a reader has passed that number. The worker numbers
committed rows, each batch under the owner's lock: a reader who sees a number also sees all smaller numbers.
"""

from collections.abc import Callable
from typing import Any, Self

import peewee

from models.base import Model, Query, Table, for_update
from models.orgs import Organization
from models.task_failures import run_each

MAX_BATCHES_PER_OWNER = 20


class NotNumbered(Exception):
    """A row cannot be updated, for example because its id is stored in a different form."""


def number_all(task: str, owners: Query, number_batch: Callable[[Any], int]) -> int:
    """Number each owner's waiting rows in batches. Returns how many.

    owners -- selects the owner of each waiting row
    number_batch -- numbers some of an owner's rows in one transaction; returns how many. Must raise NotNumbered if a
        row was not updated, because the next batch would select it again.
    """

    def number(owner: Any) -> int:
        total = 0
        for _ in range(MAX_BATCHES_PER_OWNER):
            if not (count := number_batch(owner)):
                break
            total += count
        return total

    rows: Any = owners.distinct().tuples()
    return run_each(task, [owner for (owner,) in rows], number)


def require_changes(table: type[Table], changed_rows: int, expected: int = 1) -> None:
    """Raise NotNumbered if an update changed fewer rows."""
    if changed_rows < expected:
        raise NotNumbered(f"{expected - changed_rows} rows of {table.__name__} were not updated.")


class Sequence(Model):
    """An organization's last number; the row is also the lock for assigning numbers."""

    organization = peewee.ForeignKeyField(Organization, unique=True)

    @classmethod
    def locked_for(cls, organization_id: Any) -> Self:
        """Return the organization's row, created if missing, locked until the transaction ends."""
        cls.insert(organization=organization_id).on_conflict_ignore().execute()
        return for_update(cls.select().where(cls.organization == organization_id)).get()
