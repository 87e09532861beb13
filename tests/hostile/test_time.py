"""Fields and parameters are parsed in linear time."""

import time
from contextlib import suppress
from importlib import import_module
from operator import itemgetter
from pathlib import Path

import marshmallow as ma
import pytest

import schemas
from schemas.base import Body
from schemas.queries import Filter, QueryInteger

LENGTH = 200_000
# When repeated, these make backtracking patterns take seconds.
FRAGMENTS = (
    "0", "1", "a", "-", " ", "\t", ".", "a@", "a.", "a@a.", "1.", "[", '"\\', "é", "\n", "PST-",
    "2026-04-01T09:00:00.",
)  # fmt: skip
PREFIXES = ("", "a@", "https://", "https://[", "2026-04-01T09:00:00.")
MAX_SECONDS = 5


def fields():
    """Return each distinct field type with its validators, from all bodies and queries."""
    unique = {}
    for file in Path(schemas.__file__).parent.glob("[!_]*.py"):
        import_module(f"schemas.{file.stem}")
    for shape in _subclasses(Body) | _subclasses(Filter):
        for name, field in shape().fields.items():
            field = getattr(field, "inner", field)
            unique.setdefault((type(field), repr(field.validators)), (f"{shape.__name__}.{name}", field))
    return sorted(unique.values(), key=itemgetter(0))


def _subclasses(kind):
    return set(kind.__subclasses__()).union(*map(_subclasses, kind.__subclasses__()))


def seconds_to_parse(field, text):
    start = time.monotonic()
    with suppress(ma.ValidationError):
        field.deserialize(text)
    return time.monotonic() - start


def long_strings(fragment):
    for prefix in PREFIXES:
        text = prefix + fragment * (LENGTH // len(fragment))
        yield from (text, f"{text}x", f"{text}\x00")


def test_leading_zeros_are_parsed_in_linear_time(app, reviewer):
    assert seconds_to_parse(QueryInteger(), "0" * LENGTH + "x") < MAX_SECONDS
    assert reviewer.get("/v1/candidates", limit="000").json["limit"] == 1
    assert reviewer.get("/v1/candidates", limit="+007").json["limit"] == 7


@pytest.mark.slow
@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_every_field_is_parsed_in_linear_time(fragment):
    for name, field in fields():
        for text in long_strings(fragment):
            assert seconds_to_parse(field, text) < MAX_SECONDS, (name, text[:40])
