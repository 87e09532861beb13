"""An envelope's fields, which can be missing or have any type (contract 5.1)."""

import pytest

from rules.events.envelopes import columns, field, integer, label, source_name, text

ODD = [None, True, 7, 1.5, "x", [], ["x"], {}, {"type": {"type": "x"}}]


@pytest.mark.parametrize("value", ODD)
def test_field_returns_none_for_missing_fields(value):
    assert field(value, "missing") is field({"a": value}, "a", "missing", "deeper") is None
    assert field({"a": {"b": value}}, "a", "b") == field(value) == value


def test_integer_accepts_only_integers_in_range():
    assert [integer(value) for value in (7, -1, 10**30, 0)] == [7, -1, 10**30, 0]
    assert [integer(value, range(1, 3)) for value in (0, 1, 2, 3)] == [None, 1, 2, None]
    assert {integer(value) for value in (True, False, 1.0, "1", None)} == {None}


def test_labels_are_truncated_and_safe_to_store():
    assert label("a\0b\ud800c\udfff Zoë 👩") == "a\ufffdb\ufffdc\ufffd Zoë 👩"
    assert len(label("x" * 5000)) == 200
    for value in (None, True, 7, 1.5, [], {}):
        assert text(value) is label(value) is None


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("cli", "cli"), ("", ""), ({}, ""), (None, ""), (7, ""), (["cli"], ""), ({"channel": "c"}, "c"),
        ({"emitter": "e", "channel": "c"}, "e"), ({"integration": "", "emitter": 7, "channel": "c"}, "c"),
        ({"integration": "vscode", "emitter": "e", "channel": "c"}, "vscode"),
    ],
)  # fmt: skip
def test_source_names(source, name):
    assert source_name(source) == name


def test_columns_are_read_from_the_envelope():
    fields = {"actor": {"type": "ai", "role": "assistant"}, "provenance": {"attribution": "likely_ai"}}
    expected = {"kind": "command", "source": "claude-code", "actor": "ai", "attribution": "likely_ai"}
    assert columns({"kind": "command", "source": "claude-code"} | fields) == expected
    for odd in ODD:
        assert columns({"actor": odd, "provenance": odd}) == dict.fromkeys(expected)
