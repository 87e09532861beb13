"""Groups and argument types of the `flask` commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import marshmallow
import peewee
from flask.cli import AppGroup

from database_errors import conflict_for, describe_for_operator
from errors import ApiError


@contextmanager
def one_message() -> Iterator[None]:
    """Report an API or database error as one message, without a traceback."""
    try:
        yield
        return
    except ApiError as error:
        message = str(error)
    except peewee.IntegrityError as error:
        message = conflict_for(error).message
    except (peewee.DatabaseError, peewee.InterfaceError) as error:
        message = describe_for_operator(error)
    raise click.ClickException(message)


class Group(AppGroup):
    """Commands that report an error as one message."""

    def invoke(self, context: click.Context) -> Any:
        with one_message():
            return super().invoke(context)


class Field(click.ParamType):
    """An argument that is validated like an API field."""

    name = "text"

    def __init__(self, field: marshmallow.fields.Field):
        self._field = field

    def convert(self, value: str, param: Any, context: Any) -> Any:
        try:
            return self._field.deserialize(value)
        except marshmallow.ValidationError as error:
            self.fail(" ".join(error.messages))
