"""Members of an event as a client sent it: any of them may be missing or of any type (contract 5.1)."""

import re
from typing import Any

# Names become keys of stored objects: no column holds NUL or a lone surrogate, nobody reads 1 MiB of name.
LONGEST_LABEL = 200
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def member(value: Any, *names: str) -> Any:
    """`value[name][...]`, or None where an object or a member on the way is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def integer(value: Any) -> int | None:
    """An integer; true and 1.0 are none."""
    return value if type(value) is int else None


def label(value: Any) -> str | None:
    """A name that can be stored, or None for what is no string."""
    name = text(value)
    return None if name is None else _UNSTORABLE.sub("\ufffd", name[:LONGEST_LABEL])


def source_name(source: Any) -> str:
    """The string, or of an object `integration`, else `emitter`, else `channel`; "" for anything else."""
    if isinstance(source, dict):
        names = (member(source, name) for name in ("integration", "emitter", "channel"))
        source = next((name for name in names if isinstance(name, str) and name), None)
    return label(source) or ""


def columns(envelope: dict[str, Any]) -> dict[str, str | None]:
    """What stands in columns of its own beside an envelope: `kind`, `source`, `actor`, `attribution`."""
    return {
        "kind": label(envelope.get("kind")),
        "source": source_name(envelope.get("source")) or None,
        "actor": label(member(envelope, "actor", "type")),
        "attribution": label(member(envelope, "provenance", "attribution")),
    }
