"""Events reduced to the small values that metrics are derived from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from rules.commands import verification_kind
from rules.envelopes import (
    CHANGE_KINDS,
    integer,
    is_from_editor,
    known_exit_code,
    label,
    member,
    source_name,
    text,
)
from rules.usage import UsageReport, read_usage_report


@dataclass(slots=True)
class MetricEvent:
    """One event; members that its kind does not have are None."""

    time_ns: int  # since the epoch
    id: str
    kind: str
    source: str
    from_editor: bool
    attribution: str | None = None  # of a change
    path_digest: bytes | None = None  # of a change: equal for equal paths, and small
    command_kind: str | None = None  # test, check or build
    failed: bool | None = None  # of a command with a known exit code, or a test run with its counts
    passed: bool | None = None  # of the same; false for a test run without tests
    tool: str | None = None
    usage: UsageReport | None = None

    @property
    def sort_key(self) -> tuple[int, str, str]:
        """By time, ties by id; without an id, which ingest refuses, by content."""
        return self.time_ns, self.id, "" if self.id else repr(self)


AnyEvent = TypeVar("AnyEvent", bound=MetricEvent)


def metric_values(time_ns: int, envelope: Any) -> dict[str, Any]:
    """The values of a MetricEvent from an envelope as it was sent; never raises."""
    kind = label(member(envelope, "kind")) or ""
    source = source_name(member(envelope, "source"))
    values = {
        "time_ns": time_ns,
        "id": text(member(envelope, "id")) or "",
        "kind": kind,
        "source": source,
        "from_editor": is_from_editor(envelope),
        "usage": read_usage_report(time_ns, kind, source, member(envelope, "data")),
    }
    return values | (_READERS[kind](envelope) if kind in _READERS else {})


def without_editor_duplicates(events: list[AnyEvent]) -> list[AnyEvent]:
    """Drop the editor extension's duplicates (docs/metrics.md#terms)."""
    others = {_duplicated_group(event) for event in events if not event.from_editor} - {None}
    return [event for event in events if not event.from_editor or _duplicated_group(event) not in others]


def _duplicated_group(event: MetricEvent) -> str | None:
    if event.kind in CHANGE_KINDS:
        return "change"
    return "command" if event.kind == "command" else None


def _change(envelope: Any) -> dict[str, Any]:
    path = text(member(envelope, "data", "path"))
    digest = None if path is None else hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()
    return {"attribution": label(member(envelope, "provenance", "attribution")), "path_digest": digest}


def _command(envelope: Any) -> dict[str, Any]:
    command = text(member(envelope, "data", "command"))
    kind = None if command is None else verification_kind(command)
    code = known_exit_code(envelope)
    if code is None:
        return {"command_kind": kind}
    return {"command_kind": kind, "failed": code != 0, "passed": code == 0}


def _test_run(envelope: Any) -> dict[str, Any]:
    passed, failed = (integer(member(envelope, "data", name)) for name in ("passed", "failed"))
    if passed is None or failed is None:
        return {}
    return {"failed": failed > 0, "passed": failed == 0 and passed > 0}


def _tool_call(envelope: Any) -> dict[str, Any]:
    return {"tool": label(member(envelope, "data", "toolName"))}


def _mcp_call(envelope: Any) -> dict[str, Any]:
    return {"tool": label(member(envelope, "data", "tool"))}


_READERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    **dict.fromkeys(CHANGE_KINDS, _change),
    "command": _command,
    "test_run": _test_run,
    "tool_intent": _tool_call,
    "tool_use": _tool_call,
    "mcp_call": _mcp_call,
}
