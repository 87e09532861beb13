"""Timestamps: RFC 3339 strings to nanoseconds (docs/metrics.md#order-and-time)."""

import pytest

from rules.timestamps import parse_timestamp_ns

NEW_YEAR_2026 = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00.000000001Z", 1), ("1969-12-31T23:59:59.999999999Z", -1),
        ("2026-01-01T00:00:00.050Z", NEW_YEAR_2026 + 50_000_000),
        ("2026-01-01T00:00:01.123456789Z", NEW_YEAR_2026 + 1_123_456_789),
        ("2024-02-29T00:00:00Z", 1_709_164_800 * 10**9), ("2025-12-31T23:59:60.25Z", NEW_YEAR_2026 + 250_000_000),
        ("1677-09-21T00:12:43.145224192Z", -(2**63)), ("2262-04-11T23:47:16.854775807Z", 2**63 - 1),
    ],
)  # fmt: skip
def test_timestamps_are_exact_to_the_nanosecond(text, nanoseconds):
    assert parse_timestamp_ns(text) == nanoseconds


# A leap second is the first second of the next day.
@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z", "2026-01-01T01:30:00+01:30", "2025-12-31T16:00:00-08:00", "2026-01-01T00:00:00-00:00",
        "2026-01-01t00:00:00z", "2026-01-01T00:00:00.000000000Z", "2025-12-31T23:59:60Z", "2026-01-01T00:59:60+01:00",
    ],
)  # fmt: skip
def test_equal_times_in_different_formats(text):
    assert parse_timestamp_ns(text) == NEW_YEAR_2026


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2026-01-01", "2026-01-01T00:00Z", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z", "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00Z\n", " 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z\0",
        "\uff12\uff10\uff12\uff16-01-01T00:00:00Z", "+2026-01-01T00:00:00Z", "20260101T000000Z",
        "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-00-10T00:00:00Z",
        "0000-01-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z",
        "2026-01-01T12:30:60Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+01:60", "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z", "1677-09-21T00:12:43.145224191Z", "2262-04-11T23:47:16.854775808Z",
    ],
)  # fmt: skip
def test_invalid_timestamps_raise_an_error_with_a_message(text):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        parse_timestamp_ns(text)
