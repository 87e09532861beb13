"""Values that may be used once."""

from collections.abc import Iterable
from typing import Any


def find_duplicates(
    values: Iterable[tuple[list[str | int], str | None]], owners: dict[str, Any], taken: str
) -> list[dict[str, Any]]:
    """Find values that already have an owner or are repeated, as error entries.

    values -- each with its path in the request; None is skipped
    owners -- the id of each value's owner
    taken -- the message for a value that has an owner; `{}` is replaced by the owner
    """
    entries, seen = [], set[str]()
    for path, value in values:
        if value in owners or value in seen:
            message = taken.format(owners[value]) if value in owners else "Appears twice."
            entries.append({"path": path, "message": message})
        if value is not None:
            seen.add(value)
    return entries
