"""What goes out by the plan of schemas/__init__.py is what marshmallow itself would give out."""

import uuid
from collections import namedtuple
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import marshmallow as ma
import orjson
import pytest
from factories import make_keys, make_session
from marshmallow import fields

from models import CandidateKey, key_records
from schemas import Id, Inline, Schema, Timestamp
from schemas.candidates import Candidate

SUMMER = timezone(timedelta(hours=2))


class State(Schema):
    state = fields.String()
    count = fields.Integer()


class Shape(Schema):
    text = fields.String()
    renamed = fields.String(attribute="other_name")
    number = fields.Integer()
    number_as_text = fields.Integer(as_string=True)
    fraction = fields.Float()
    flag = fields.Boolean()
    anything = fields.Raw()
    mapping = fields.Dict()
    id = Id()
    ids = fields.List(Id())
    moment = Timestamp()
    moments = fields.List(Timestamp())
    with_default = fields.Integer(dump_default=7)
    made = fields.Function(lambda row: "made")
    one = fields.Nested(State)
    many = fields.Nested(State, many=True)
    listed = fields.List(fields.Nested(State))
    place = fields.Integer(attribute="one.count")
    inline = Inline(State, "inline")


MOMENT = datetime(2026, 4, 1, 9, 0, 0, 1500, tzinfo=UTC)
VALUES = {
    "text": "a", "other_name": "b", "number": 1, "number_as_text": 2, "fraction": 0.5, "flag": True,
    "anything": [1], "mapping": {"a": 1}, "id": uuid.uuid4(), "ids": [uuid.uuid4(), None], "moment": MOMENT,
    "moments": [MOMENT, None], "with_default": 8, "one": {"state": "x", "count": 1},
    "many": [{"state": "y"}], "listed": [{"count": 2}, None], "inline_state": "z", "inline_count": 3,
}  # fmt: skip
UNUSUAL = {
    "text": 5, "other_name": b"bytes", "number": True, "number_as_text": "3", "fraction": 2, "flag": 1, "id": "no id",
    "ids": (uuid.uuid4(),), "moment": MOMENT.astimezone(SUMMER), "one": SimpleNamespace(state="x", count="4"),
    "inline_state": None, "listed": [],
}  # fmt: skip


def sent(schema: ma.Schema, value: Any, **options: Any) -> Any:
    """What arrives of it as JSON."""
    return orjson.loads(orjson.dumps(schema.dump(value, **options)))


def sent_by_marshmallow(
    schema: ma.Schema, value: Any, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> Any:
    with monkeypatch.context() as patch:
        patch.delattr(Schema, "_serialize")
        return sent(schema, value, **options)


@pytest.mark.parametrize(
    "values", [VALUES, UNUSUAL, dict.fromkeys(VALUES), {}], ids=["usual", "odd", "none", "empty"]
)
def test_rows_go_out_as_marshmallow_writes_them(values, monkeypatch):
    shown = sent(Shape(), values)
    expected = sent_by_marshmallow(Shape(), values, monkeypatch)
    assert shown == expected
    assert list(shown) == list(expected)
    assert {name: type(value) for name, value in shown.items()} == {
        name: type(value) for name, value in expected.items()
    }


class WithoutInline(Shape):
    class Meta:
        exclude = ("inline",)


@pytest.mark.parametrize(
    "kind", [lambda: SimpleNamespace(**VALUES), lambda: namedtuple("Row", VALUES)(**VALUES)]
)
def test_objects_and_tuples_too(kind, monkeypatch):
    value = kind()
    expected = sent_by_marshmallow(WithoutInline(), value, monkeypatch)
    assert sent(WithoutInline(), value) == expected


def test_members_with_a_prefix_make_an_object():
    row = {"inline_state": "z", "inline_count": 3}
    assert Shape(only=("inline",)).dump(row) == {"inline": {"state": "z", "count": 3}}


def test_a_value_is_not_taken_for_the_one_before(monkeypatch):
    moments = [MOMENT, MOMENT, MOMENT + timedelta(hours=1), MOMENT]
    rows = [{"id": uuid.uuid4(), "moment": moment} for moment in moments]
    only = Shape(only=("id", "moment"), many=True)
    assert sent(only, rows) == sent_by_marshmallow(only, rows, monkeypatch)


def test_many_and_nothing(monkeypatch):
    for value, options in [([VALUES, UNUSUAL], {"many": True}), (None, {"many": True}), ([], {"many": True})]:
        expected = sent_by_marshmallow(WithoutInline(), value, monkeypatch, **options)
        assert sent(WithoutInline(), value, **options) == expected


class Hooked(Schema):
    text = fields.String()

    @ma.post_dump
    def wrap(self, data, **kwargs):
        return {"wrapped": data}


def test_hooks_are_called():
    assert Hooked().dump({"text": "a"}) == {"wrapped": {"text": "a"}}


def test_rows_of_the_database_and_models(clock, assessment, monkeypatch):
    make_session(make_keys(assessment, 3, email="a@example.com")[0])
    rows = list(key_records(clock.now()))
    assert sent(Candidate(many=True), rows) == sent_by_marshmallow(Candidate(many=True), rows, monkeypatch)
    key = CandidateKey.get()
    only = Candidate(only=("id", "key", "candidate_name", "expires_at", "assessment_title"))
    assert sent(only, key) == sent_by_marshmallow(only, key, monkeypatch)
