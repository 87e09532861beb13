"""Steps for the tests of what is read out of a session; times are in seconds."""

import json
from typing import Any

from rules.steps import Step, step_of

NANOSECONDS = 10**9


def step(at: float, kind: str, data: dict[str, Any] | None = None, **members: Any) -> Step:
    """The step of an event of Claude Code's transcript, whose exit codes are known."""
    event = {"id": f"{kind} at {at}", "kind": kind, "source": "claude-code", "data": data or {}} | members
    return step_of(int(at * NANOSECONDS), json.loads(json.dumps(event)))


def command(at: float, text: str, exit_code: int | None = 0, **members: Any) -> Step:
    return step(
        at, "command", {"command": text} | ({} if exit_code is None else {"exitCode": exit_code}), **members
    )
