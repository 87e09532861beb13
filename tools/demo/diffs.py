"""Diffs as the candidate's client reports them."""

import difflib
from typing import Any


def change(path: str, before: str | None, after: str) -> dict[str, Any]:
    """The members of a change that describe it."""
    old, new = (before or "").splitlines(keepends=True), after.splitlines(keepends=True)
    name = "/dev/null" if before is None else f"a/{path}"
    lines = list(difflib.unified_diff(old, new, name, f"b/{path}"))
    added = sum(line.startswith("+") for line in lines[2:])
    removed = sum(line.startswith("-") for line in lines[2:])
    return {"path": path, "diff": "".join(lines), "linesAdded": added, "linesRemoved": removed}
