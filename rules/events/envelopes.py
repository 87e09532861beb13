"""Read an envelope's fields. Any field can be missing or have any type (contract 5.1)."""

from typing import Any

from rules.plain_text import replace_unstorable

INT64 = range(-(2**63), 2**63)
MAX_LABEL_CHARACTERS = 200
CHANGE_KINDS = frozenset({"file_diff", "file_create", "file_delete"})


def field(value: Any, *names: str) -> Any:
    """Return `value[name][...]`; None if a field is missing or its parent is not an object."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def as_list(value: Any) -> list[Any]:
    """Return the value if it is a list, otherwise []."""
    return value if isinstance(value, list) else []


def integer(value: Any, allowed: range | None = None) -> int | None:
    """Return the value if it is an integer in the allowed range, otherwise None. `true` and `1.0` are not integers."""
    return value if type(value) is int and (allowed is None or value in allowed) else None


def label(value: Any) -> str | None:
    """Return a name, truncated and safe to store; None if it is not a string."""
    return replace_unstorable(value[:MAX_LABEL_CHARACTERS]) if isinstance(value, str) else None


def source_name(source: Any) -> str:
    """Return a string source, or an object's `integration`, `emitter` or `channel`; otherwise ""."""
    if isinstance(source, dict):
        names = (source.get(name) for name in ("integration", "emitter", "channel"))
        source = next((name for name in names if isinstance(name, str) and name), None)
    return label(source) or ""


def is_from_editor(envelope: Any) -> bool:
    return field(envelope, "source", "channel") == "ide-extension"


def known_exit_code(envelope: Any) -> int | None:
    """Return a command's exit code. Ignores Claude Code's hooks, which always report 0."""
    methods = field(envelope, "provenance", "methods")
    is_hook = isinstance(methods, list) and "hook" in methods
    if is_hook and source_name(field(envelope, "source")) == "claude-code":
        return None
    return integer(field(envelope, "data", "exitCode"))


def columns(envelope: dict[str, Any], channel: str | None = None) -> dict[str, str | None]:
    """Return the values of an event's columns. If the service recorded the event, the source is its tool."""
    source = envelope.get("source")
    tool = label(field(source, "tool")) if channel else None
    return {
        "kind": label(envelope.get("kind")),
        "source": tool or source_name(source) or None,
        "actor": label(field(envelope, "actor", "type")),
        "attribution": label(field(envelope, "provenance", "attribution")),
    }
