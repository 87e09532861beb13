"""Each table is written from contract 7 and from what Go's encoding/json documents, not from what the code answers."""

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.canonical_json import FORMS, Form, canonical, parse, plain

TODAY, UNESCAPED, REREAD, UNESCAPED_REREAD = FORMS


def spelt(text: str, form: Form = TODAY) -> str:
    return canonical(parse(text), form).decode()


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ("1.8e-05", "0.000018"),
        ("0.000018", "0.000018"),
        ("0.000001", "0.000001"),
        ("1e-6", "0.000001"),
        ("0.0000001", "1e-7"),
        ("9.5e-7", "9.5e-7"),
        ("1.5e-10", "1.5e-10"),
        ("-2.5E-7", "-2.5e-7"),
        ("5e-324", "5e-324"),
        ("1.0", "1"),
        ("1e2", "100"),
        ("-3.000", "-3"),
        ("0.0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("2.5", "2.5"),
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("123456.789e3", "123456789"),
        ("1e20", "100000000000000000000"),
        ("123456789012345670000", "123456789012345670000"),
        ("1e21", "1e+21"),
        ("-1e21", "-1e+21"),
        ("1.5e300", "1.5e+300"),
        ("1000000000000000000000000000000", "1e+30"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_number_has_one_spelling_however_it_was_sent(sent, signed, form):
    assert spelt(sent, form) == signed


@pytest.mark.parametrize(
    ("sent", "own", "reread"),
    [
        ("9007199254740993", "9007199254740993", "9007199254740992"),
        ("-9007199254740993", "-9007199254740993", "-9007199254740992"),
        # A double of 2^60 is sent with its shortest digits, and signed with all of them.
        ("1152921504606847000", "1152921504606847000", "1152921504606846976"),
        ("-9223372036854775808", "-9223372036854775808", "-9223372036854775808"),
        # What 64 bits cannot hold was a double in any case.
        ("18446744073709551615", "18446744073709552000", "18446744073709552000"),
    ],
)
def test_a_large_integer_is_the_clients_own_or_a_double(sent, own, reread):
    assert spelt(sent, TODAY) == own
    assert spelt(sent, REREAD) == reread


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_keeps_its_value_in_its_shortest_spelling(number):
    written = spelt(repr(number))
    assert struct.pack("d", float(written) + 0.0) == struct.pack("d", number + 0.0)
    if not number.is_integer() and math.isfinite(number):
        assert ("e" in written) == (not 1e-6 <= abs(number) < 1e21)
        assert written.strip("-0.").replace(".", "").partition("e")[0].strip("0") == (
            repr(abs(number)).partition("e")[0].replace(".", "").strip("0")
        )


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        (r'"\"\\\b\f\n\r\t"', r'"\"\\\b\f\n\r\t"'),
        (r'"\u0000\u0001\u001F\u007f"', '"\\u0000\\u0001\\u001f\x7f"'),
        (r'"\/\u0041\u00e9\u20ac"', '"/Aé€"'),
        (r'"\ud83d\ude00"', '"😀"'),
        ('"\u2028\u2029"', r'"\u2028\u2029"'),
        (r'"a < b && c > d"', r'"a \u003c b \u0026\u0026 c \u003e d"'),
        (r'"\\u003c \\ufffd"', r'"\\u003c \\ufffd"'),
    ],
)
def test_a_text_has_one_spelling_however_it_was_sent(sent, signed):
    assert spelt(sent) == signed


def test_a_later_client_may_leave_html_characters_as_they_are():
    assert spelt(r'{"<":"\u003c&>\u2028"}', UNESCAPED) == r'{"<":"<&>\u2028"}'


def test_a_broken_character_of_the_clients_own_text_stays_escaped():
    # Go spells a byte that is no UTF-8 as the six characters \ufffd, in the envelope and in what it signs.
    assert spelt(r'"cut \ufffd"', TODAY) == r'"cut \ufffd"'
    assert spelt(r'"cut \uFFFD"', UNESCAPED) == r'"cut \ufffd"'


def test_a_broken_character_of_a_reread_text_is_the_character():
    assert spelt(r'"cut \ufffd"', REREAD) == '"cut \ufffd"'


@pytest.mark.parametrize("form", FORMS)
def test_a_replacement_character_in_the_text_stays_one(form):
    assert spelt('"was \ufffd"', form) == '"was \ufffd"'


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sent", [r'"\ud800"', r'"\udfff"', r'"\udc00"'])
def test_a_lone_surrogate_is_read_as_go_reads_it(sent, form):
    assert spelt(sent, form) == '"\ufffd"'


def test_a_surrogate_before_a_replacement_character_makes_no_pair():
    assert spelt('"\\ud83d\ufffd"') == '"\ufffd\ufffd"'
    assert spelt(r'"\ud83d\ufffd"', REREAD) == '"\ufffd\ufffd"'


def test_members_are_sorted_by_the_bytes_of_their_names_at_every_level():
    names = ["b", "a", "é", "Z", "a.b", "10", "9", "\uffee", "😀", "", "a<"]
    inner = dict.fromkeys(names, 1)
    read = parse(json.dumps({"z": [inner], "a": inner}))
    written = json.loads(canonical(read), object_pairs_hook=list)
    expected = sorted(names, key=str.encode)
    assert [name for name, _ in written] == ["a", "z"]
    assert [name for name, _ in written[0][1]] == expected
    assert [name for name, _ in written[1][1][0]] == expected


def test_arrays_keep_their_order_and_nothing_has_white_space():
    sent = '{ "b" : [ ] , "a" : { } , "c" : [ true , false , null , [ 2 , 1 ] , "x y" ] }'
    assert spelt(sent) == '{"a":{},"b":[],"c":[true,false,null,[2,1],"x y"]}'


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", "1e400", "[-1e400]", "9" * 400, "9" * 5000, "{'a': 1}"]
)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_json_or_no_double_is_a_value_error(text, form):
    with pytest.raises(ValueError, match=r".+"):
        spelt(text, form)


def test_more_values_than_any_client_sends_are_a_value_error():
    assert spelt("[" + "0," * 50_000 + "0]")
    with pytest.raises(ValueError, match="too many"):
        spelt("[" + "0," * 5_000_000 + "0]")


def test_plain_gives_the_text_as_any_reader_has_it():
    assert plain(parse('"a \ufffd\\ud800 b"')) == "a \ufffd\ufffd b"
