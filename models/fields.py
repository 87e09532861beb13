"""Fields that can read any stored value.

SQLite stores values of any type in any column. A value of the wrong type reads as `unreadable`, so one malformed row
does not break a list or a task. The ledger reports the difference.
"""

from typing import Any

import peewee

from rules.rows import MALFORMED_ID


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
        converted = super().python_value(value)
        return self.unreadable if isinstance(converted, str | bytes) else converted


class IntegerField(_TolerantIntegerField, peewee.IntegerField):
    """A 32-bit integer."""


class BigIntegerField(_TolerantIntegerField, peewee.BigIntegerField):
    """A 64-bit integer."""


class TextField(_TolerantField, peewee.TextField):
    unreadable = ""


class UUIDField(_TolerantField, peewee.UUIDField):
    unreadable = MALFORMED_ID


class JSONField(_TolerantField, peewee.JSONField):
    unreadable = None
