"""Strict JSON parsing and splitting of batches (R27)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import Invalid
from tests.hostile.values import BODIES
from web.json import MAX_DEPTH, NotJson, parse_object, split_array

VERBATIM = ("data", "rawPayload")


@pytest.mark.parametrize("name", [name for name, (_, _, status) in BODIES.items() if status == 400])
def test_invalid_bodies_are_rejected(name):
    with pytest.raises((NotJson, Invalid)):
        parse_object(BODIES[name][0])


def nested(levels, innermost=b"1"):
    """Build an object with this many levels, including itself."""
    return b'{"data":' + b"[" * (levels - 1) + innermost + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize("verbatim", [(), VERBATIM])
def test_more_than_32_levels_are_rejected_even_in_data(verbatim):
    assert parse_object(nested(MAX_DEPTH), verbatim)
    assert parse_object(nested(MAX_DEPTH - 1, b"{}"), verbatim)
    for body in (nested(MAX_DEPTH + 1), nested(MAX_DEPTH, b"{}"), nested(MAX_DEPTH, b"[]"), nested(50_000)):
        with pytest.raises(NotJson) as rejected:
            parse_object(body, verbatim)
        assert "32 levels" in rejected.value.message


def test_siblings_and_brackets_in_strings_are_not_levels():
    assert parse_object(b'{"a": [' + b"[[]]," * 1000 + b'"' + b"[{" * 1000 + b'"]}')


@pytest.mark.parametrize(
    "number", [b"9223372036854775807", b"-9223372036854775808", b"1e308", b"1e-400", b"-0", b"0.1"]
)
def test_numbers_within_64_bits_are_accepted(number):
    assert "n" in parse_object(b'{"n": %s}' % number)


@pytest.mark.parametrize(
    "number",
    [
        b"9223372036854775808", b"-9223372036854775809", b"9" * 4300, b"1e309", b"-1E+400", b"9" * 400 + b".5",
        b"1e0400",
    ],
)  # fmt: skip
def test_larger_numbers_are_accepted_only_in_data(number):
    assert parse_object(b'{"data": {"n": [%s]}, "rawPayload": %s}' % (number, number), VERBATIM)
    assert_rejected_at(b'{"a": [{"n": %s}], "data": {}}' % number, ["a", 0, "n"])


def test_a_number_of_5000_digits_is_rejected_even_in_data():
    for verbatim in ((), VERBATIM):
        with pytest.raises(NotJson) as rejected:
            parse_object(b'{"data": %s}' % (b"9" * 5000), verbatim)
        assert "digits" in rejected.value.message


@pytest.mark.parametrize("text", [rb"a\u0000", rb"\ud800", rb"\udfffa", rb"\udc00\ud800"])
def test_nul_and_lone_surrogates_are_accepted_only_in_data(text):
    assert parse_object(b'{"data": {"%s": "%s"}, "rawPayload": "%s"}' % (text, text, text), VERBATIM)
    for body in (b'{"a": [0, "%s"]}' % text, b'{"a": [0, {"%s": 1}]}' % text):
        assert_rejected_at(body, ["a", 1])


def assert_rejected_at(body, path):
    with pytest.raises(Invalid) as rejected:
        parse_object(body, VERBATIM)
    assert [detail["path"] for detail in rejected.value.details] == [path]


@pytest.mark.parametrize("body", [rb'{"a": {"data": "\u0000"}}', rb'{"data\u0000": 1}'])
def test_only_the_outermost_data_is_exempt(body):
    with pytest.raises(Invalid):
        parse_object(body, VERBATIM)


def test_surrogate_pairs_and_escaped_control_characters_are_accepted():
    assert parse_object(rb'{"a": "\ud83d\udca9", "b": "\u0001\u001b\u007f\u2028"}')["a"] == "\U0001f4a9"


@pytest.mark.parametrize(
    "body",
    [b'{"data": {"a": 1, "a": 1}}', rb'{"data": [{"a": 1, "\u0061": 2}]}', b'{"data": {}, "data": {}}'],
)
def test_duplicate_fields_are_rejected_at_every_level_even_in_data(body):
    with pytest.raises(NotJson):
        parse_object(body, VERBATIM)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | st.just("events"), inner)
    ),
    max_leaves=15,
)
batches = st.builds(
    lambda fields, events, indent: json.dumps(fields | {"events": events}, indent=indent),
    st.dictionaries(st.text(max_size=4), values, max_size=3),
    st.lists(values, max_size=5),
    st.sampled_from([None, 1]),
)
fragments = st.sampled_from(
    [*'{}[],:" \t\n\v0', '"events"', r'"\u0065vents"', '"events":[', "1e999", "NaN", ""]
)


@settings(max_examples=100)
@given(batches, st.data())
def test_splitting_preserves_the_entries_text(text, data):
    """Even after random damage, unless the batch is rejected."""
    start = data.draw(st.integers(0, len(text)))
    damaged = text[:start] + data.draw(fragments) + text[start + data.draw(st.integers(0, 3)) :]
    for body in (text, damaged):
        try:
            entries, rest = split_array(body, "events", 500)
            parse_object(rest.encode())
        except (NotJson, Invalid):
            continue
        batch = json.loads(body)
        # NaN is not equal to itself.
        assert repr([json.loads(entry) for entry in entries]) == repr(batch["events"])
        assert json.loads(rest) == batch | {"events": []}
        position = 0
        for entry in entries:
            position = body.index(entry, position) + len(entry)


def test_splitting_accepts_any_entry():
    entries = ['{"n" : 1.50}', '"\\u0000\\ud800"', "NaN", "9" * 5000, '{"a":1,"a":2}', "[]", "null"]
    text = ' { "other" : [[]], "events" :\n[ ' + " ,\t".join(entries) + '] , "more": {"events": [1]} } '
    assert split_array(text, "events", 500) == (
        entries,
        ' { "other" : [[]], "events" :\n[] , "more": {"events": [1]} } ',
    )
