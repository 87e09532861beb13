"""Tools for operators: administration, doctor, readiness, metrics, backup, import."""

import click
import peewee
from playhouse.pool import MaxConnectionsExceeded

DATABASE_ERRORS = (peewee.PeeweeException, MaxConnectionsExceeded)


class OperationError(click.ClickException):
    """A command failed. The message says why and what to do."""
