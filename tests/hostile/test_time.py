"""No text, however it is made, makes a member or a parameter slow to read: time grows with its length, no faster."""

import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import marshmallow as ma
import pytest

import schemas
from schemas.base import Body
from schemas.queries import Filter, QueryInteger

LENGTH = 200_000
# What takes seconds for a few thousand characters wherever a pattern tries each way of sharing them.
PIECES = (
    "0",
    "1",
    "a",
    "-",
    " ",
    "\t",
    ".",
    "a@",
    "a.",
    "a@a.",
    "1.",
    "[",
    '"\\',
    "é",
    "\n",
    "PST-",
    "2026-04-01T09:00:00.",
)
BEGINNINGS = ("", "a@", "https://", "https://[", "2026-04-01T09:00:00.")
MOST_SECONDS = 5


def fields():
    """One of each kind of field, with its validators, of every body and query."""
    found = {}
    for file in Path(schemas.__file__).parent.glob("[!_]*.py"):
        import_module(f"schemas.{file.stem}")
    for shape in _below(Body) | _below(Filter):
        for name, field in shape().fields.items():
            field = getattr(field, "inner", field)
            found.setdefault((type(field), repr(field.validators)), (f"{shape.__name__}.{name}", field))
    return sorted(found.values(), key=lambda each: each[0])


def _below(kind):
    return set(kind.__subclasses__()).union(*map(_below, kind.__subclasses__()))


def seconds_to_read(field, text):
    began = time.monotonic()
    with suppress(ma.ValidationError):
        field.deserialize(text)
    return time.monotonic() - began


def texts(piece):
    for beginning in BEGINNINGS:
        long = beginning + piece * (LENGTH // len(piece))
        yield from (long, f"{long}x", f"{long}\x00")


def test_noughts_are_counted_once(app, reviewer):
    """Within the length of an address that the web process takes."""
    assert seconds_to_read(QueryInteger(), "0" * LENGTH + "x") < MOST_SECONDS
    assert reviewer.get("/v1/candidates", limit="000").json["limit"] == 1
    assert reviewer.get("/v1/candidates", limit="+007").json["limit"] == 7


@pytest.mark.slow
@pytest.mark.parametrize("piece", PIECES)
def test_no_field_is_slow_to_read(piece):
    for name, field in fields():
        for text in texts(piece):
            assert seconds_to_read(field, text) < MOST_SECONDS, (name, text[:40])
