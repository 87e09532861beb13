"""JSON is parsed when it is read, with long strings truncated."""

import hashlib
import json

import pytest

from proxy import lazy_json
from proxy.json_text import document
from proxy.lazy_json import LazyArray, LazyObject


def lazy(text):
    fields = document(text.encode("utf-8", "surrogateescape")).fields()
    return LazyObject(fields, {"messages": fields["messages"].elements()})


@pytest.fixture
def parsed(monkeypatch):
    """The parsed texts."""
    texts = []
    parse = lazy_json.parse

    def record(value, *depth):
        texts.append(value.text[value.start : value.end].decode())
        return parse(value, *depth)

    monkeypatch.setattr(lazy_json, "parse", record)
    return texts


def test_only_read_values_are_parsed(parsed):
    body = lazy('{"model": "m", "tools": [1], "messages": [{"n": 1}, {"n": 2}, {"n": 3}]}')
    assert (len(body), "tools" in body, len(body["messages"])) == (3, True, 3)
    assert parsed == []
    assert body["messages"][-1] == {"n": 3}
    assert body["messages"][2] is body["messages"][-1]
    assert body["model"] == "m"
    assert parsed == ['{"n": 3}', '"m"']


def test_an_array_is_a_sequence():
    messages = lazy('{"messages": [1, "a", null, {"b": []}]}')["messages"]
    assert isinstance(messages, LazyArray)
    assert list(messages) == [1, "a", None, {"b": []}]
    assert list(reversed(messages)) == [{"b": []}, None, "a", 1]
    assert messages[1:3] == ["a", None]
    with pytest.raises(IndexError):
        messages[4]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a" * 100, "a" * 49),
        ("é" * 100, "é" * 24),
        ("\n" * 100, "\n" * 24),
        ("a\U0001f600" * 100, "a\U0001f600" * 3 + "a"),
    ],
)
def test_a_long_string_is_truncated_between_characters(monkeypatch, text, start):
    monkeypatch.setattr(lazy_json, "MAX_BYTES", 50)
    is_escaped = "\U0001f600" in text
    content = json.dumps({"messages": [{"content": [{"text": text}], "n": 1}]}, ensure_ascii=is_escaped)
    sent = json.dumps(text, ensure_ascii=is_escaped).encode()
    end = f"\n[{len(sent)} bytes, SHA-256 {hashlib.sha256(sent).hexdigest()}]\n[truncated]"
    assert lazy(content)["messages"][0] == {"content": [{"text": start + end}], "n": 1}


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2, "long": "LONG"}', "[" * 40 + '"LONG"' + "]" * 40, "1" * 200, '"\udcffLONG"']
)
def test_an_unreadable_value_is_its_text(monkeypatch, text):
    monkeypatch.setattr(lazy_json, "MAX_BYTES", 100)
    value = lazy(f'{{"messages": [{text.replace("LONG", "x" * 200)}, 1]}}')["messages"]
    while isinstance(value[0], list):
        value = value[0]
    assert value[0].startswith(text[0])
