"""The number of values of a JSON text."""

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
def test_every_value_on_every_level_counts(value, indent):
    text, number = json.dumps([value], indent=indent), count([value])
    assert find_excess(text, number) is None
    assert find_excess(text, number - 1) is not None


def test_the_text_up_to_the_excess_has_few_values():
    text = '{"events": [{}, {}, [1, "2,3"], {"a": 4}]}'
    assert text[: find_excess(text, 5)] == '{"events": [{}, {}, ['


@pytest.mark.parametrize("text", ["", "x", '"', '"\\', "[1, 2", '["a', "[" * 9, "]" * 9])
def test_a_text_that_is_not_json_is_left_to_the_parser(text):
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
def test_the_time_is_linear(text):
    started_at = time.process_time()
    find_excess(text, 100_000)
    assert time.process_time() - started_at < 1
