"""Calls to other systems within a request."""

from collections.abc import Iterator
from contextlib import contextmanager

from integrations.adapter import CallFailed
from integrations.errors import SystemFailed


@contextmanager
def system_calls() -> Iterator[None]:
    """Raise SystemFailed if a call fails."""
    try:
        yield
    except CallFailed as error:
        raise SystemFailed(error.message) from None
