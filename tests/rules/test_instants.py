"""The exact instant of an event (metrics.md "Order and time")."""

import pytest

from rules import instants

NEW_YEAR_2026 = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2026-01-01T00:00:00Z", NEW_YEAR_2026),
        ("2026-01-01T00:00:00.5Z", NEW_YEAR_2026 + 500_000_000),
        ("2026-01-01T00:00:00.050Z", NEW_YEAR_2026 + 50_000_000),
        ("2026-01-01T00:00:01.123456789Z", NEW_YEAR_2026 + 1_123_456_789),
        ("2024-02-29T00:00:00Z", 1_709_164_800 * 10**9),
    ],
)
def test_an_instant_is_exact_to_the_nanosecond(text, nanoseconds):
    assert instants.parse(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T01:30:00+01:30",
        "2025-12-31T16:00:00-08:00",
        "2026-01-01T00:00:00-00:00",
        "2026-01-01t00:00:00z",
        "2026-01-01T00:00:00.000000000Z",
        "2025-12-31T23:59:60Z",  # the leap second is the following day's first
        "2026-01-01T01:00:00.0+01:00",
        "2026-01-01T00:59:60+01:00",
    ],
)
def test_the_same_instant_can_be_written_in_many_ways(text):
    assert instants.parse(text) == NEW_YEAR_2026


def test_a_leap_second_keeps_its_fraction():
    assert instants.parse("2025-12-31T23:59:60.25Z") == NEW_YEAR_2026 + 250_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-01",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00Z\n",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\0",
        "\uff12\uff10\uff12\uff16-01-01T00:00:00Z",
        "+2026-01-01T00:00:00Z",
        "20260101T000000Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-00-10T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T12:30:60Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:60",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_anything_else_is_refused_in_a_sentence(text):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        instants.parse(text)


def test_the_first_and_the_last_instant_that_64_bits_hold():
    assert instants.parse("1677-09-21T00:12:43.145224192Z") == -(2**63)
    assert instants.parse("2262-04-11T23:47:16.854775807Z") == 2**63 - 1
    for text in ("1677-09-21T00:12:43.145224191Z", "2262-04-11T23:47:16.854775808Z"):
        with pytest.raises(ValueError, match="too far away"):
            instants.parse(text)
