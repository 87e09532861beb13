"""Convert between RFC 3339 strings, nanoseconds and `datetime` (docs/metrics.md#order-and-time, R25)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from rules.events.envelopes import INT64

_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):([0-5]\d|60)(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

# Replaces a malformed stored time. Anything that expires at this time has expired.
MALFORMED_TIME = _EPOCH
# Calculations with other years could overflow.
_VALID_YEARS = range(1970, 9000)


def parse_timestamp_ns(text: str) -> int:
    """Parse `2026-01-02T03:04:05.123456789Z` into nanoseconds since 1970.

    Accepts 0 to 9 fractional digits, any offset, and `t` and `z` in either case. A leap second (23:59:60 UTC) is the
    first second of the next day. Raises ValueError with a message for anything else, and for times that do not fit in
    64 bits (before 1677 or after 2262).
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError("Not an RFC 3339 time such as 2026-01-02T03:04:05.123Z.")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    try:
        start = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=UTC)
    except ValueError:
        raise ValueError("The date or time does not exist.") from None
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    seconds = (start - _EPOCH + (offset if sign == "-" else -offset)) // _SECOND + int(second)
    if second == "60" and seconds % 86_400:
        raise ValueError("Second 60 exists only at the end of a UTC day.")
    nanoseconds = seconds * 10**9 + int((fraction or "").ljust(9, "0"))
    if nanoseconds not in INT64:
        raise ValueError("The time must be between the years 1678 and 2261.")
    return nanoseconds


def whole_seconds_ns(time: datetime) -> int:
    """Return the time in nanoseconds since 1970, truncated to seconds."""
    return int(time.timestamp()) * 10**9


def timestamp_from_ns(nanoseconds: int) -> datetime:
    """Return the UTC time, truncated to the API's milliseconds."""
    return _EPOCH + timedelta(milliseconds=nanoseconds // 10**6)


def format_timestamp(time: datetime) -> str:
    """Format in UTC with milliseconds, as `2026-04-01T09:00:00.000Z` (R25)."""
    in_utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_stored_time(value: Any) -> datetime:
    """Parse a stored `datetime` or string as a UTC time. Returns MALFORMED_TIME for malformed values."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        is_valid = time.tzinfo is not None and time.year in _VALID_YEARS
        return time.astimezone(UTC) if is_valid else MALFORMED_TIME
    except (ValueError, AttributeError):
        return MALFORMED_TIME
