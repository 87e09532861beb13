"""Invalid credentials and client addresses across all web processes, by hour, for `flask doctor`."""

from datetime import datetime, timedelta
from typing import Any, Self

import peewee

from models.base import Model, TimestampField, clock

RETENTION = timedelta(days=7)
DAY = timedelta(days=1)
SEVERAL = "several"


def current_hour() -> datetime:
    return clock.now().replace(minute=0, second=0, microsecond=0)


class AccessHour(Model):
    """One hour of requests.

    `sole_address` is the only client address if it is private, otherwise SEVERAL; null until a process has reported
    enough requests.
    """

    personal_data = None  # only counts and a proxy's address
    hour = TimestampField(unique=True)
    invalid_credentials = peewee.IntegerField(default=0)
    sole_address = peewee.TextField(null=True)

    @classmethod
    def add_invalid_credentials(cls, count: int) -> None:
        cls._upsert({"invalid_credentials": count}, invalid_credentials=cls.invalid_credentials + count)

    @classmethod
    def report_address(cls, address: str) -> None:
        """Report the private address that all of a process's requests came from, or SEVERAL."""
        stored = cls.sole_address
        merged = peewee.Case(None, ((stored.is_null() | (stored == address), address),), SEVERAL)
        cls._upsert({"sole_address": address}, sole_address=merged)

    @classmethod
    def _upsert(cls, values: dict[str, Any], **update: Any) -> None:
        insert = cls.insert(hour=current_hour(), **values)
        insert.on_conflict(conflict_target=[cls.hour], update=update).execute()

    @classmethod
    def worst(cls) -> Self | None:
        """Return the hour with the most invalid credentials in the last day; None if there were none."""
        rows = cls.select().where(cls.hour > clock.now() - DAY, cls.invalid_credentials > 0)
        return rows.order_by(cls.invalid_credentials.desc(), cls.hour).first()

    @classmethod
    def sole_private_address(cls) -> str | None:
        """Return the private address that all requests in the last day came from; None if there were several."""
        rows = cls.select(cls.sole_address).where(
            cls.hour > clock.now() - DAY, cls.sole_address.is_null(False)
        )
        addresses = {row.sole_address for row in rows}
        return addresses.pop() if len(addresses) == 1 and SEVERAL not in addresses else None

    @classmethod
    def delete_expired(cls) -> int:
        return cls.delete().where(cls.hour <= clock.now() - RETENTION).execute()
