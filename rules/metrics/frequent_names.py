"""Limit the number of names in a session's metrics. A client may send a new name with each event."""

from collections.abc import Mapping
from heapq import nsmallest

MAX_NAMES = 200  # far more tools or models than a session uses
OTHER = "other"


def shown_names(counts: Mapping[str, int]) -> dict[str, str]:
    """Map each name to its name in the metrics: itself if it is among the most frequent, else OTHER.

    Ties are broken alphabetically.
    """
    frequent = set(nsmallest(MAX_NAMES, counts, key=lambda name: (-counts[name], name)))
    return {name: name if name in frequent else OTHER for name in counts}
