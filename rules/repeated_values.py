"""Detect values that must be unique but are already taken or repeated."""

from collections.abc import Iterable
from typing import Any


def find_duplicates(
    values: Iterable[tuple[list[str | int], str | None]], owners: dict[str, Any], message: str
) -> list[dict[str, Any]]:
    """Return an error entry for each value that is already taken or repeated.

    values -- pairs of (path in the request, value); None values are skipped
    owners -- owner ids by value
    message -- error message for a value that is taken; `{}` is replaced with the owner's id
    """
    entries, seen = [], set[str]()
    for path, value in values:
        if value in owners or value in seen:
            text = message.format(owners[value]) if value in owners else "Appears twice."
            entries.append({"path": path, "message": text})
        if value is not None:
            seen.add(value)
    return entries
