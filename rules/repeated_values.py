"""Values that may be used once."""

from collections.abc import Iterable
from typing import Any


def find_duplicates(
    values: Iterable[tuple[list[str | int], str | None]], owners: dict[str, Any], taken: str
) -> list[dict[str, Any]]:
    """The entries of an error for the values that have an owner or are repeated.

    values -- each with its path in the request; None is no value
    owners -- the id of each value's owner
    taken -- the message about a value with an owner, in which `{}` is the owner
    """
    entries, seen = [], set[str]()
    for path, value in values:
        if value in owners or value in seen:
            message = taken.format(owners[value]) if value in owners else "Appears twice."
            entries.append({"path": path, "message": message})
        if value is not None:
            seen.add(value)
    return entries
