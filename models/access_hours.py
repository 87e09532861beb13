"""Invalid credentials and client addresses in all web processes, by hour; `flask doctor` reads them."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import peewee

from models.base import Model, TimestampField, clock

RETENTION = timedelta(days=7)
DAY = timedelta(days=1)
SEVERAL = "several"


def current_hour() -> datetime:
    return clock.now().replace(minute=0, second=0, microsecond=0)


class WorstHour(NamedTuple):
    """The hour of the last day with the most invalid credentials."""

    hour: datetime
    invalid_credentials: int


class AccessHour(Model):
    """One hour of requests from all addresses.

    `sole_address` is the private address of all requests, SEVERAL if there were others, or null while no process has
    reported enough requests.
    """

    personal_data = None  # only counts, and the address of a proxy
    hour = TimestampField(unique=True)
    invalid_credentials = peewee.IntegerField(default=0)
    sole_address = peewee.TextField(null=True)

    @classmethod
    def add_invalid_credentials(cls, count: int) -> None:
        cls._upsert({"invalid_credentials": count}, invalid_credentials=cls.invalid_credentials + count)

    @classmethod
    def report_address(cls, address: str) -> None:
        """Report that a process received requests from this private address only, or from SEVERAL."""
        stored = cls.sole_address
        merged = peewee.Case(None, ((stored.is_null() | (stored == address), address),), SEVERAL)
        cls._upsert({"sole_address": address}, sole_address=merged)

    @classmethod
    def _upsert(cls, values: dict[str, Any], **update: Any) -> None:
        insert = cls.insert(hour=current_hour(), **values)
        insert.on_conflict(conflict_target=[cls.hour], update=update).execute()

    @classmethod
    def worst(cls) -> WorstHour | None:
        """The hour of the last day with the most invalid credentials; None if there were none."""
        rows = cls.select().where(cls.hour > clock.now() - DAY, cls.invalid_credentials > 0)
        row = rows.order_by(cls.invalid_credentials.desc(), cls.hour).first()
        return row and WorstHour(row.hour, row.invalid_credentials)

    @classmethod
    def sole_private_address(cls) -> str | None:
        """The private address of all requests in the last day; None if there were others."""
        rows = cls.select(cls.sole_address).where(
            cls.hour > clock.now() - DAY, cls.sole_address.is_null(False)
        )
        addresses = {row.sole_address for row in rows}
        return addresses.pop() if len(addresses) == 1 and SEVERAL not in addresses else None

    @classmethod
    def delete_expired(cls) -> int:
        """Delete hours older than RETENTION; returns how many."""
        return cls.delete().where(cls.hour <= clock.now() - RETENTION).execute()
