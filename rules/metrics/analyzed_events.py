"""Reduce events to the values that the metrics and the analysis use."""

import hashlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rules.events import duplicates
from rules.events.envelopes import (
    CHANGE_KINDS,
    field,
    integer,
    is_from_editor,
    known_exit_code,
    label,
    source_name,
    text,
)
from rules.events.summaries import summarize
from rules.metrics import commands
from rules.metrics.read_only_commands import is_read_only
from rules.metrics.usage import UsageReport, read_usage_report
from rules.plain_text import event_line

MAX_FAILURE_OUTPUT_CHARACTERS = 300
# The cause is usually near the end of the output. The last line often only reports the failure.
_LAST_LINES = 3
_LAST_CHARACTERS = 4000
MAX_KIND_CHARACTERS = 40  # above the longest kind in the metrics
HUMAN_ATTRIBUTIONS = frozenset({"likely_human", "ai_revised_by_human"})
ATTRIBUTIONS = HUMAN_ATTRIBUTIONS | {"likely_ai", "mixed"}

# A call that waits for a running command is not a call of its own.
_CONTINUATION = ("codex", "write_stdin")

Reader = Callable[[Any], dict[str, Any]]


@dataclass(slots=True)
class AnalyzedEvent:
    """An event. Fields that do not apply to its kind are None.

    Excludes the envelope's contents, because all events of a session are in memory at the same time.

    time_ns -- nanoseconds since the epoch
    kind -- "" if longer than MAX_KIND_CHARACTERS
    attribution, path_digest -- only for changes; `attribution` is one of ATTRIBUTIONS
    command_kind -- test, check or build
    is_recorded -- only for commands: whether one of the service's channels recorded it
    failed -- only for commands with a known exit code, and test runs with counts
    passed -- only if `failed` is set; false for a test run without tests
    subject -- only with details, for prompts and events with a result
    failure_output -- only with details: the last lines of the output
    is_read_only -- only with details
    """

    time_ns: int
    id: str
    kind: str
    from_editor: bool
    attribution: str | None = None
    path_digest: bytes | None = None
    command_kind: str | None = None
    is_recorded: bool = False
    failed: bool | None = None
    passed: bool | None = None
    tool: str | None = None
    tool_source: str | None = None
    usage: UsageReport | None = None
    subject: str | None = None
    failure_output: str | None = None
    is_read_only: bool = False


def read_events(timeline: Iterable[tuple[int, Any]], *, details: bool) -> list[AnalyzedEvent]:
    """Return a session's events, sorted.

    timeline -- pairs of (nanoseconds since the epoch, envelope as sent). Their order matters only if the session's
        commands exceed MAX_SESSION_CHARACTERS
    """
    events, remaining = [], commands.MAX_SESSION_CHARACTERS
    for time_ns, envelope in timeline:
        event = read_event(time_ns, envelope, details=details, classifies=remaining > 0)
        if event.kind == "command":
            remaining -= len(_command_text(envelope))
        events.append(event)
        del envelope  # Free the memory before the next envelope is read.
    # Ingest rejects events without an id. If there are any, their content makes the order deterministic.
    return sorted(events, key=lambda event: (event.time_ns, event.id, "" if event.id else repr(event)))


def read_event(time_ns: int, envelope: Any, *, details: bool, classifies: bool = True) -> AnalyzedEvent:
    """Read an envelope as sent. Never raises.

    details -- whether to read the fields that only the analysis needs
    classifies -- whether to classify commands by their text
    """
    kind = label(field(envelope, "kind")) or ""
    kind = sys.intern(kind) if len(kind) <= MAX_KIND_CHARACTERS else ""
    source = source_name(field(envelope, "source"))
    event = AnalyzedEvent(
        time_ns,
        text(field(envelope, "id")) or "",
        kind,
        is_from_editor(envelope),
        usage=read_usage_report(time_ns, kind, source, field(envelope, "data")),
        **(_READERS[kind](envelope) if kind in _READERS else {}),
    )
    classifies = classifies and kind == "command"
    if classifies:
        event.command_kind = commands.verification_kind(_command_text(envelope))
    if details:
        if kind == "prompt" or event.failed is not None:
            event.subject = summarize(envelope).subject
        event.failure_output = _failure_output(field(envelope, "data")) if event.failed else None
        event.is_read_only = classifies and is_read_only(_command_text(envelope))
    return event


def drop_editor_duplicates(events: list[AnalyzedEvent]) -> list[AnalyzedEvent]:
    """Drop the editor extension's duplicates (docs/metrics.md#terms)."""
    reported = {_duplicate_group(event) for event in events if not event.from_editor} - {None}
    return [event for event in events if not event.from_editor or _duplicate_group(event) not in reported]


def _duplicate_group(event: AnalyzedEvent) -> str | None:
    if event.kind in CHANGE_KINDS:
        return "change"
    return "command" if event.kind == "command" else None


def _command_text(envelope: Any) -> str:
    return text(field(envelope, "data", "command")) or ""


def _failure_output(data: Any) -> str | None:
    for name in ("stderr", "stdout"):
        output = text(field(data, name)) or ""
        lines = [line.strip() for line in output[-_LAST_CHARACTERS:].splitlines() if line.strip()]
        if lines:
            return event_line(" / ".join(lines[-_LAST_LINES:]), MAX_FAILURE_OUTPUT_CHARACTERS)
    return None


def _change(envelope: Any) -> dict[str, Any]:
    path = text(field(envelope, "data", "path"))
    digest = None if path is None else hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()
    attribution = label(field(envelope, "provenance", "attribution")) or ""
    is_known = attribution in ATTRIBUTIONS
    return {"attribution": sys.intern(attribution) if is_known else None, "path_digest": digest}


def _command(envelope: Any) -> dict[str, Any]:
    code = known_exit_code(envelope)
    outcome = {} if code is None else {"failed": code != 0, "passed": code == 0}
    return {"is_recorded": duplicates.tool_source(field(envelope, "source")) is not None} | outcome


def _test_run(envelope: Any) -> dict[str, Any]:
    passed, failed = (integer(field(envelope, "data", name)) for name in ("passed", "failed"))
    if passed is None or failed is None:
        return {}
    return {"failed": failed > 0, "passed": failed == 0 and passed > 0}


def _tool(name: str) -> Reader:
    def read(envelope: Any) -> dict[str, Any]:
        tool, source = label(field(envelope, "data", name)), field(envelope, "source")
        recorded = duplicates.tool_source(source)
        if (recorded, tool) == _CONTINUATION:
            tool = None
        return {"tool": tool and sys.intern(tool), "tool_source": sys.intern(recorded or source_name(source))}

    return read


_READERS: dict[str, Reader] = {
    **dict.fromkeys(CHANGE_KINDS, _change),
    "command": _command,
    "test_run": _test_run,
    "tool_intent": _tool("toolName"),
    "tool_use": _tool("toolName"),
    "mcp_call": _tool("tool"),
}
