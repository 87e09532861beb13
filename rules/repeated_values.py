"""Values that can only be used once."""

from collections.abc import Iterable
from typing import Any


def find_duplicates(
    values: Iterable[tuple[list[str | int], str | None]], owners: dict[str, Any], message: str
) -> list[dict[str, Any]]:
    """Return an error entry for each value that has an owner or is repeated.

    values -- the path in the request and the value; None is skipped
    owners -- owner ids by value
    message -- the message for a value with an owner; `{}` is replaced by the owner
    """
    entries, seen = [], set[str]()
    for path, value in values:
        if value in owners or value in seen:
            text = message.format(owners[value]) if value in owners else "Appears twice."
            entries.append({"path": path, "message": text})
        if value is not None:
            seen.add(value)
    return entries
