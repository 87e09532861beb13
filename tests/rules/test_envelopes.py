"""Members of an event, any of which may be missing or of any type (client contract, 5.1)."""

import pytest

from rules.envelopes import columns, integer, label, member, source_name, text

ODD = [None, True, 7, 1.5, "x", [], ["x"], {}, {"type": {"type": "x"}}]


@pytest.mark.parametrize("value", ODD)
def test_a_member_of_anything_is_found_or_none(value):
    assert member(value, "missing") is None
    assert member({"a": value}, "a") == value
    assert member({"a": value}, "a", "missing", "deeper") is None


def test_members_are_looked_up_along_the_way():
    assert member({"a": {"b": {"c": 1}}}, "a", "b", "c") == 1
    assert member({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(("value", "expected"), [(7, 7), (-1, -1), (10**30, 10**30), (0, 0)])
def test_integers_are_integers(value, expected):
    assert integer(value) == expected


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, [1], {}])
def test_true_and_fractions_are_no_integers(value):
    assert integer(value) is None


@pytest.mark.parametrize("value", [None, True, 7, 1.5, [], {}])
def test_only_strings_are_texts_and_labels(value):
    assert text(value) is None
    assert label(value) is None


def test_a_label_is_what_a_column_can_hold():
    assert label("a\0b\ud800c\udfff") == "a\ufffdb\ufffdc\ufffd"
    assert label("Zoë 👩") == "Zoë 👩"
    assert len(label("x" * 5000)) < 5000


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("cli", "cli"),
        ("", ""),
        ({"integration": "vscode", "emitter": "e", "channel": "c"}, "vscode"),
        ({"emitter": "e", "channel": "c"}, "e"),
        ({"channel": "c"}, "c"),
        ({"integration": "", "emitter": 7, "channel": "c"}, "c"),
        ({}, ""),
        (None, ""),
        (7, ""),
        (["cli"], ""),
    ],
)
def test_the_source_has_one_name(source, name):
    assert source_name(source) == name


def test_columns_of_a_full_envelope():
    envelope = {
        "kind": "command",
        "source": "claude-code",
        "actor": {"type": "ai", "role": "assistant"},
        "provenance": {"attribution": "likely_ai"},
    }
    found = columns(envelope)
    expected = {"kind": "command", "source": "claude-code", "actor": "ai", "attribution": "likely_ai"}
    assert found | expected == found


@pytest.mark.parametrize("odd", ODD)
def test_columns_of_an_odd_envelope_are_none(odd):
    found = columns({"kind": "x", "actor": odd, "provenance": odd})
    assert found == {"kind": "x", "source": None, "actor": None, "attribution": None}
