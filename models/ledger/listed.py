"""Rows that are signed when they are inserted, and listed in ledger entries later (rules/ledger/arrivals.py)."""

from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from models import sql
from models.base import Model, Query
from models.fields import TextField, UUIDField
from models.ledger import keys
from rules.ledger import arrivals
from rules.timestamps import format_timestamp


class ListedModel(Model):
    """A table whose `signed` columns never change.

    `arrival_mac` is the row's signature, `ledger_entry_id` the entry that lists it (models/ledger/numbering.py).
    """

    signed: ClassVar[tuple[str, ...]]

    arrival_mac = TextField()
    ledger_entry_id = UUIDField(null=True)

    @classmethod
    def create(cls, **columns: Any) -> Self:
        row = cls(**columns)
        row.arrival_mac = row._mac()
        fields = {field.name: field.column_name for field in cls._meta.sorted_fields}
        sql.insert(cls, [{fields[name]: value for name, value in row.__data__.items()}])
        return row

    def sign_again(self) -> None:
        """Replace the signature, and list the row again."""
        self.update_columns(arrival_mac=self._mac(), ledger_entry_id=None)

    def _mac(self) -> str:
        return arrivals.sign(*keys.signing(), self._meta.table_name, self._signed_values())

    def _signed_values(self) -> dict[str, Any]:
        return {name: _to_json(self.__data__.get(name)) for name in self.signed}

    @property
    def is_accepted(self) -> bool | None:
        """Return whether the service stored this row; None if its key is unknown."""
        return arrivals.is_signed(
            self.arrival_mac, self._meta.table_name, self._signed_values(), keys.known()
        )

    @classmethod
    def unlisted(cls) -> Query:
        return cls.select().where(cls.ledger_entry_id.is_null())


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_timestamp(value)
    return str(value) if isinstance(value, UUID) else value
