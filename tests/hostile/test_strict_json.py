"""The one reader of bodies, on plain bytes (R27)."""

import pytest

from errors import Invalid
from tests.hostile.values import BODIES
from web.json import MAX_DEPTH, NotJson, strict_object

DATA = ("data", "rawPayload")


@pytest.mark.parametrize("name", [name for name, (_, _, status) in BODIES.items() if status == 400])
def test_what_is_not_one_strict_object_is_refused(name):
    with pytest.raises((NotJson, Invalid)):
        strict_object(BODIES[name][0])


def nested(levels, inner=b"1"):
    """An object of so many levels, the outermost being the first."""
    return b'{"data":' + b"[" * (levels - 1) + inner + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize("verbatim", [(), DATA])
def test_32_levels_are_taken_and_33_are_not_even_in_data(verbatim):
    assert strict_object(nested(MAX_DEPTH), verbatim)
    assert strict_object(nested(MAX_DEPTH - 1, b"{}"), verbatim)
    for body in (nested(MAX_DEPTH + 1), nested(MAX_DEPTH, b"{}"), nested(MAX_DEPTH, b"[]"), nested(100_000)):
        with pytest.raises(NotJson) as refused:
            strict_object(body, verbatim)
        assert "32 levels" in refused.value.sentence


def test_brackets_beside_each_other_and_in_texts_are_no_levels():
    assert strict_object(b'{"a": [' + b"[[]]," * 1000 + b'"' + b"[{" * 1000 + b'"]}')


@pytest.mark.parametrize(
    "number", [b"9223372036854775807", b"-9223372036854775808", b"1e308", b"1e-400", b"-0", b"0.1"]
)
def test_numbers_that_fit_are_taken(number):
    assert "n" in strict_object(b'{"n": %s}' % number)


TOO_LARGE = [
    b"9223372036854775808",
    b"-9223372036854775809",
    b"9" * 4300,
    b"1e309",
    b"-1E+400",
    b"9" * 400 + b".5",
    b"1e0400",
]


@pytest.mark.parametrize("number", TOO_LARGE)
def test_numbers_that_no_column_holds_are_refused_by_their_place(number):
    with pytest.raises(Invalid) as refused:
        strict_object(b'{"a": [{"n": %s}], "data": {}}' % number, DATA)
    assert [place["path"] for place in refused.value.details] == [["a", 0, "n"]]


@pytest.mark.parametrize("number", TOO_LARGE)
def test_numbers_of_any_size_are_kept_in_data(number):
    assert strict_object(b'{"data": {"n": [%s]}, "rawPayload": %s}' % (number, number), DATA)


def test_a_number_of_5000_digits_is_refused_everywhere():
    for verbatim in ((), DATA):
        with pytest.raises(NotJson) as refused:
            strict_object(b'{"data": %s}' % (b"9" * 5000), verbatim)
        assert "digits" in refused.value.sentence


@pytest.mark.parametrize("text", [rb"a\u0000", rb"\ud800", rb"\udfffa", rb"\udc00\ud800"])
def test_texts_that_no_column_holds_are_refused_by_their_place_and_kept_in_data(text):
    for body in (b'{"a": [0, "%s"]}' % text, b'{"a": [0, {"%s": 1}]}' % text):
        with pytest.raises(Invalid) as refused:
            strict_object(body, DATA)
        assert [place["path"] for place in refused.value.details] == [["a", 1]]
    assert strict_object(b'{"data": {"%s": "%s"}, "rawPayload": "%s"}' % (text, text, text), DATA)


def test_only_the_outermost_data_is_kept_as_it_came():
    with pytest.raises(Invalid):
        strict_object(rb'{"a": {"data": "\u0000"}}', DATA)
    with pytest.raises(Invalid):
        strict_object(rb'{"data\u0000": 1}', DATA)


def test_pairs_of_surrogates_and_escaped_control_characters_are_texts():
    assert strict_object(rb'{"a": "\ud83d\udca9", "b": "\u0001\u001b\u007f\u2028"}')["a"] == "\U0001f4a9"


def test_a_member_twice_is_refused_at_every_level_even_in_data():
    for body in (
        b'{"data": {"a": 1, "a": 1}}',
        rb'{"data": [{"a": 1, "\u0061": 2}]}',
        b'{"data": {}, "data": {}}',
    ):
        with pytest.raises(NotJson):
            strict_object(body, DATA)
