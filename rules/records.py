"""An event reduced to what the metrics ask of it: a few small values, whatever content it came with."""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from rules import commands
from rules.envelopes import integer, label, member, source_name, text
from rules.usage import Report, report_of

CHANGES = frozenset({"file_diff", "file_create", "file_delete"})
EDITOR_CHANNEL = "ide-extension"


class Record(NamedTuple):
    """One event; what its kind does not have, or its client did not send, is None."""

    time: int  # nanoseconds since the epoch
    id: str
    kind: str  # "" for kinds that no metric asks for
    source: str
    from_editor: bool
    attribution: str | None = None  # of a change
    path: bytes | None = None  # of a change: a digest, since all that matters is whether two are the same
    command_kind: str | None = None  # test, check or build
    failed: bool | None = None  # of a command with a known exit code, or a test run with its counts
    passed: bool | None = None  # the same two, as a test result
    tool: str | None = None
    usage: Report | None = None


def record_of(time: int, envelope: Any) -> Record:
    """The record of an envelope exactly as it was sent: nothing in it may make this raise."""
    kind = text(member(envelope, "kind")) or ""
    reader = _READERS.get(kind)
    source = source_name(member(envelope, "source"))
    return Record(
        time,
        text(member(envelope, "id")) or "",
        kind if reader else "",
        source,
        member(envelope, "source", "channel") == EDITOR_CHANNEL,
        usage=report_of(time, kind, source, member(envelope, "data")),
        **(reader(envelope, source) if reader else {}),
    )


def _nothing(envelope: Any, source: str) -> dict[str, Any]:
    return {}


def _change(envelope: Any, source: str) -> dict[str, Any]:
    path = text(member(envelope, "data", "path"))
    return {
        "attribution": label(member(envelope, "provenance", "attribution")),
        "path": None if path is None else hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest(),
    }


def _command(envelope: Any, source: str) -> dict[str, Any]:
    command = text(member(envelope, "data", "command"))
    code = known_exit_code(envelope, source)
    return {
        "command_kind": None if command is None else commands.kind_of(command),
        "failed": None if code is None else code != 0,
        "passed": None if code is None else code == 0,
    }


def known_exit_code(envelope: Any, source: str) -> int | None:
    """The exit code, unless it is one of Claude Code's hooks, which report 0 for everything."""
    methods = member(envelope, "provenance", "methods")
    if source == "claude-code" and isinstance(methods, list) and "hook" in methods:
        return None
    return integer(member(envelope, "data", "exitCode"))


def _test_run(envelope: Any, source: str) -> dict[str, Any]:
    passed, failed = (integer(member(envelope, "data", name)) for name in ("passed", "failed"))
    if passed is None or failed is None:
        return {}
    return {"failed": failed > 0, "passed": failed == 0 and passed > 0}


def _tool_name(envelope: Any, source: str) -> dict[str, Any]:
    return {"tool": label(member(envelope, "data", "toolName"))}


def _mcp_call(envelope: Any, source: str) -> dict[str, Any]:
    return {"tool": label(member(envelope, "data", "tool"))}


_READERS: dict[str, Callable[[Any, str], dict[str, Any]]] = {
    **dict.fromkeys(CHANGES, _change),
    **dict.fromkeys(("prompt", "build_run", "decision_event"), _nothing),
    "command": _command,
    "test_run": _test_run,
    "tool_intent": _tool_name,
    "tool_use": _tool_name,
    "mcp_call": _mcp_call,
}
