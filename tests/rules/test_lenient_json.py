"""JSON with numbers and nesting that Python rejects."""

import json

import pytest

from rules.lenient_json import MAX_DIGITS, flatten, parse_json

LONG = "1" * (MAX_DIGITS + 1)


def test_only_integers_of_too_many_digits_become_strings():
    assert parse_json(f"[1, 2.5, {LONG}, -{LONG}]") == [1, 2.5, LONG, f"-{LONG}"]
    assert parse_json(LONG[1:].encode()) == int(LONG[1:])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": [1, {"b": 2}]}', {"a": [1, {"b": 2}]}),
        ('{"a": [[1, "]"], [{"b": "\\"["}], 2, []]}', {"a": ['[1, "]"]', '[{"b": "\\"["}]', 2, "[]"]}),
        ('[[[["\\ud800 \u00e9"]]]]', [['[["\\ud800 \u00e9"]]']]),
        ("[" * 50_000 + "]" * 50_000, [["[" * 49_998 + "]" * 49_998]]),
    ],
    ids=range(4),
)
def test_deep_values_become_strings_with_their_json(text, expected):
    max_depth = 3 if text.startswith('{"a": [1') else 2
    assert json.loads(flatten(text, max_depth)) == expected


@pytest.mark.parametrize("text", ["[" * 50_000, "[[[" + '"' + '\\"' * 500_000, "]}" * 50_000 + "[["])
def test_unbalanced_values_stay_invalid_and_are_read_in_linear_time(text):
    with pytest.raises((ValueError, RecursionError)):
        json.loads(flatten(text, 2))
