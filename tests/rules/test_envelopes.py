"""Members of an envelope; any may be missing or of any type (contract 5.1)."""

import pytest

from rules.envelopes import columns, integer, label, member, source_name, text

ODD = [None, True, 7, 1.5, "x", [], ["x"], {}, {"type": {"type": "x"}}]


@pytest.mark.parametrize("value", ODD)
def test_a_member_of_any_value_is_found_or_none(value):
    assert member(value, "missing") is None
    assert member({"a": value}, "a") == value
    assert member({"a": value}, "a", "missing", "deeper") is None


def test_nested_members_are_found():
    assert member({"a": {"b": {"c": 1}}}, "a", "b", "c") == 1
    assert member({"a": 1}) == {"a": 1}


@pytest.mark.parametrize("value", [7, -1, 10**30, 0])
def test_integers_are_returned(value):
    assert integer(value) == value


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, [1], {}])
def test_other_values_are_not_integers(value):
    assert integer(value) is None


@pytest.mark.parametrize("value", [None, True, 7, 1.5, [], {}])
def test_only_strings_are_texts_and_labels(value):
    assert text(value) is None
    assert label(value) is None


def test_a_label_can_be_stored_in_a_column():
    assert label("a\0b\ud800c\udfff") == "a\ufffdb\ufffdc\ufffd"
    assert label("Zoë 👩") == "Zoë 👩"
    assert len(label("x" * 5000)) == 200


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("cli", "cli"),
        ("", ""),
        ({"integration": "vscode", "emitter": "e", "channel": "c"}, "vscode"),
        ({"emitter": "e", "channel": "c"}, "e"),
        ({"channel": "c"}, "c"),
        ({"integration": "", "emitter": 7, "channel": "c"}, "c"),
        *(({}, ""), (None, ""), (7, ""), (["cli"], "")),
    ],
)
def test_a_source_has_one_name(source, name):
    assert source_name(source) == name


def test_columns_are_read_from_the_envelope():
    envelope = {
        "kind": "command",
        "source": "claude-code",
        "actor": {"type": "ai", "role": "assistant"},
        "provenance": {"attribution": "likely_ai"},
    }
    expected = {"kind": "command", "source": "claude-code", "actor": "ai", "attribution": "likely_ai"}
    assert columns(envelope) == expected


@pytest.mark.parametrize("odd", ODD)
def test_columns_of_odd_members_are_none(odd):
    expected = {"kind": "x", "source": None, "actor": None, "attribution": None}
    assert columns({"kind": "x", "actor": odd, "provenance": odd}) == expected
