"""Canonical JSON, as specified in contract 7 and the documentation of Go's encoding/json."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.integrity.canonical_json import MAX_PARTS, VARIANTS, canonicalize, parse, replace_surrogates

CURRENT, UNESCAPED, REREAD, UNESCAPED_REREAD = VARIANTS


def canonical(text, variant=CURRENT):
    return canonicalize(parse(text), variant).decode()


NUMBERS = {
    "1.8e-05": "0.000018", "1e-6": "0.000001", "0.0000001": "1e-7", "9.5e-7": "9.5e-7", "1e21": "1e+21",
    "1.5e-10": "1.5e-10", "-2.5E-7": "-2.5e-7", "5e-324": "5e-324", "1.0": "1", "1e2": "100", "-3.000": "-3",
    "0.0": "0", "-0": "0", "-0.0": "0", "2.5": "2.5", "123456.789e3": "123456789", "1e20": "100000000000000000000",
    "1.5e300": "1.5e+300", "1000000000000000000000000000000": "1e+30",
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_numbers_are_canonicalized(variant):
    assert {sent: canonical(sent, variant) for sent in NUMBERS} == NUMBERS


@pytest.mark.parametrize(
    ("sent", "exact", "double"),
    [
        ("9007199254740993", "9007199254740993", "9007199254740992"),
        ("-9007199254740993", "-9007199254740993", "-9007199254740992"),
        # A double of 2^60 is sent with its shortest digits, and signed with all of them.
        ("1152921504606847000", "1152921504606847000", "1152921504606846976"),
        ("-9223372036854775808", "-9223372036854775808", "-9223372036854775808"),
        # Above 64 bits, a double in every variant.
        ("18446744073709551615", "18446744073709552000", "18446744073709552000"),
    ],
)
def test_variants_read_large_integers_as_integers_or_doubles(sent, exact, double):
    assert (canonical(sent, CURRENT), canonical(sent, REREAD)) == (exact, double)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_formatted_with_the_fewest_digits(number):
    text = canonical(repr(number))
    assert struct.pack("d", float(text) + 0.0) == struct.pack("d", number + 0.0)
    if not number.is_integer():
        assert ("e" in text) == (not 1e-6 <= abs(number) < 1e21)
        digits, shortest = (
            form.partition("e")[0].replace(".", "").strip("-0") for form in (text, repr(number))
        )
        assert digits == shortest


@pytest.mark.parametrize(
    ("sent", "signed", "variant"),
    [
        (r'"\"\\\b\f\n\r\t"', r'"\"\\\b\f\n\r\t"', CURRENT),
        (r'"\u0000\u0001\u001F\u007f"', '"\\u0000\\u0001\\u001f\x7f"', CURRENT),
        (r'"\/\u0041\u00e9\u20ac\ud83d\ude00"', '"/Aé€😀"', CURRENT),
        ('"\u2028\u2029"', r'"\u2028\u2029"', CURRENT),
        (r'"a < b && c > d"', r'"a \u003c b \u0026\u0026 c \u003e d"', CURRENT),
        (r'"\\u003c \\ufffd"', r'"\\u003c \\ufffd"', CURRENT),
        (r'{"<":"\u003c&>\u2028"}', r'{"<":"<&>\u2028"}', UNESCAPED),
        # Go writes an invalid UTF-8 byte as the six characters \ufffd, unless the text was read from JSON.
        (r'"cut \ufffd"', r'"cut \ufffd"', CURRENT),
        (r'"cut \uFFFD"', r'"cut \ufffd"', UNESCAPED),
        (r'"cut \ufffd"', '"cut \ufffd"', REREAD),
        # A surrogate and a replacement character are not a pair.
        ('"\\ud83d\ufffd"', '"\ufffd\ufffd"', CURRENT),
        (r'"\ud83d\ufffd"', '"\ufffd\ufffd"', REREAD),
    ],
)
def test_strings_are_canonicalized_per_variant(sent, signed, variant):
    assert canonical(sent, variant) == signed


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("sent", ['"\ufffd"', r'"\ud800"', r'"\udfff"', r'"\udc00"'])
def test_lone_surrogates_become_replacement_characters(sent, variant):
    assert canonical(sent, variant) == '"\ufffd"'
    assert replace_surrogates(parse(sent)) == "\ufffd"


def test_fields_are_sorted_by_utf_8_bytes_but_arrays_are_not():
    names = ["b", "a", "é", "Z", "a.b", "10", "9", "\uffee", "😀", "", "a<"]
    inner = dict.fromkeys(names, 1)
    outer = json.loads(canonical(json.dumps({"z": [inner], "a": inner})))
    assert list(outer) == ["a", "z"]
    assert list(outer["a"]) == list(outer["z"][0]) == sorted(names, key=str.encode)
    sent = '{ "b" : [ ] , "a" : { } , "c" : [ true , false , null , [ 2 , 1 ] , "x y" ] }'
    assert canonical(sent) == '{"a":{},"b":[],"c":[true,false,null,[2,1],"x y"]}'


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", "1e400", "[-1e400]", "9" * 400, "9" * 5000, "{'a': 1}"]
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_invalid_json_and_out_of_range_numbers_raise_value_error(text, variant):
    with pytest.raises(ValueError, match=r".+"):
        canonical(text, variant)


def test_too_many_values_raise_value_error():
    assert canonical("[" + "0," * 50_000 + "0]")
    with pytest.raises(ValueError, match="too many"):
        canonical("[" + "0," * MAX_PARTS + "0]")
