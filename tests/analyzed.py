"""Analyzed events for the tests of the analysis; times are in seconds."""

from typing import Any

from rules.analyzed_events import AnalyzedEvent, read_event


def event(at: float, kind: str, data: dict[str, Any] | None = None, **members: Any) -> AnalyzedEvent:
    """An event of Claude Code's transcript, whose exit codes are known."""
    envelope = {"id": f"{kind} at {at}", "kind": kind, "source": "claude-code", "data": data or {}} | members
    return read_event(int(at * 10**9), envelope, details=True)


def command(at: float, text: str, exit_code: int | None = 0, **members: Any) -> AnalyzedEvent:
    code = {} if exit_code is None else {"exitCode": exit_code}
    return event(at, "command", {"command": text} | code, **members)
