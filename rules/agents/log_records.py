"""Log records of OpenTelemetry, independent of their encoding."""

from collections.abc import Mapping
from typing import NamedTuple

# Lists, maps and bytes are read as None: no supported record has one.
AttributeValue = str | int | float | bool | None
Attributes = Mapping[str, AttributeValue]


class LogRecord(NamedTuple):
    """One record.

    resource -- attributes of the logging program
    time_ns -- since 1970; the observed time if the record has no time of its own; None without both
    """

    resource: Attributes
    attributes: Attributes
    time_ns: int | None
