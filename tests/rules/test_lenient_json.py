"""JSON with numbers that Python rejects."""

from rules.lenient_json import MAX_DIGITS, parse_json

LONG = "1" * (MAX_DIGITS + 1)


def test_only_integers_of_too_many_digits_become_strings():
    assert parse_json(f"[1, 2.5, {LONG}, -{LONG}]") == [1, 2.5, LONG, f"-{LONG}"]
    assert parse_json(LONG[1:].encode()) == int(LONG[1:])
