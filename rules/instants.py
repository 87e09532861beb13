"""The exact instant of an event: RFC 3339 text becomes integer nanoseconds (metrics.md "Order and time")."""

import re
from datetime import UTC, date, datetime, timedelta

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_SECONDS = 86_400
_NANOSECONDS = 10**9
_EARLIEST, _LATEST = -(2**63), 2**63 - 1


def parse(text: str) -> int:
    """Nanoseconds since 1970-01-01T00:00:00Z of '2026-01-02T03:04:05.123456789Z' and its like.

    0 to 9 fractional digits, any offset, `t` and `z` in either case. A leap second (23:59:60 UTC, in whatever
    offset it is written) is the first second of the following day, as clocks that know none count it.
    ValueError, with a sentence, for all else and for what 64 bits cannot hold (before 1677, after 2262).
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("This is not an RFC 3339 time such as 2026-01-02T03:04:05.123Z.")
    *fields, fraction, sign, offset_hours, offset_minutes = match.groups()
    seconds = _seconds(*map(int, fields)) - _offset(sign, int(offset_hours or 0), int(offset_minutes or 0))
    if fields[-1] == "60" and seconds % _DAY_SECONDS:
        raise ValueError("A second of 60 exists only as the last one of a UTC day.")
    return _within_64_bits(seconds * _NANOSECONDS + int((fraction or "").ljust(9, "0")))


def moment_of(nanoseconds: int) -> datetime:
    """The instant as the API shows it: in UTC, with whole milliseconds, later digits left out."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=nanoseconds // 10**6)


def text_of(moment: datetime) -> str:
    """A moment as the API writes it: UTC with milliseconds, `2026-04-01T09:00:00.000Z` (R25)."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """Seconds since the epoch of a date and time of day, both taken as UTC."""
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("This time of day does not exist.")
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        raise ValueError("This date does not exist.") from None
    return days * _DAY_SECONDS + hour * 3600 + minute * 60 + second


def _offset(sign: str | None, hours: int, minutes: int) -> int:
    """Seconds by which the written time is ahead of UTC."""
    if hours > 23 or minutes > 59:
        raise ValueError("This offset from UTC does not exist.")
    seconds = hours * 3600 + minutes * 60
    return -seconds if sign == "-" else seconds


def _within_64_bits(nanoseconds: int) -> int:
    if not _EARLIEST <= nanoseconds <= _LATEST:
        raise ValueError("This time is too far away: only the years 1678 to 2261 fit.")
    return nanoseconds
