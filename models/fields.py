"""Columns that can read any value in the database.

The service never writes a value of another type, but SQLite stores one in any column. Such a value reads as
`unreadable`, so that one row does not fail a list or a task for the others. The record's seals report the difference.
"""

from typing import Any

import peewee

from rules.rows import UNREADABLE_ID


class _TolerantField(peewee.Field):
    unreadable: Any = None

    def python_value(self, value: Any) -> Any:
        try:
            return super().python_value(value)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return self.unreadable


class _TolerantIntegerField(_TolerantField):
    unreadable = 0

    def python_value(self, value: Any) -> Any:
        # peewee returns text that is not an integer unchanged.
        read = super().python_value(value)
        return self.unreadable if isinstance(read, str | bytes) else read


class IntegerField(_TolerantIntegerField, peewee.IntegerField):
    """A 32-bit integer."""


class BigIntegerField(_TolerantIntegerField, peewee.BigIntegerField):
    """A 64-bit integer."""


class TextField(_TolerantField, peewee.TextField):
    unreadable = ""


class UUIDField(_TolerantField, peewee.UUIDField):
    unreadable = UNREADABLE_ID


class JSONField(_TolerantField, peewee.JSONField):
    unreadable = None
