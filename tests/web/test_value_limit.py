"""The number of values in a JSON text."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.value_limit import find_excess

STRINGS = st.text(st.sampled_from('a,[]{}:"\\\n é'), max_size=4)
VALUES = st.recursive(
    st.none() | st.integers() | STRINGS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(STRINGS, values, max_size=4),
)


def count(value) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, children))


@given(VALUES, st.sampled_from([None, 1]))
def test_values_are_counted_at_every_level(value, indent):
    text, number = json.dumps([value], indent=indent), count([value])
    assert find_excess(text, number) is None
    assert find_excess(text, number - 1) is not None


def test_the_excess_position_is_before_the_first_value_too_many():
    text = '{"events": [{}, {}, [1, "2,3"], {"a": 4}]}'
    assert text[: find_excess(text, 5)] == '{"events": [{}, {}, ['


@pytest.mark.parametrize("text", ["", "x", '"', '"\\', "[1, 2", '["a', "[" * 9, "]" * 9])
def test_invalid_json_is_left_to_the_parser(text):
    assert find_excess(text, 10) is None


@pytest.mark.parametrize(
    "text",
    [
        '["' + "\\n," * 2**20 + '"]',
        "[" + "x" * 2**22 + '"' + "," * 10**5,
        '"' * 2**22 + "," * 10**5,
        "[ " * 2**20,
    ],
    ids=["escapes", "unterminated", "quotes", "nested"],
)
def test_counting_takes_linear_time(text):
    started_at = time.process_time()
    find_excess(text, 100_000)
    assert time.process_time() - started_at < 5
