"""Limit the names in a session's metrics, since a client may send a new one with each event."""

from collections.abc import Mapping
from heapq import nsmallest

MAX_NAMES = 200  # far more than a session has tools or models
OTHER = "other"


def shown_names(counts: Mapping[str, int]) -> dict[str, str]:
    """Map each name to its name in the metrics: itself if it is among the most frequent, else OTHER.

    Among equally frequent names, the alphabetically first ones count as more frequent.
    """
    frequent = set(nsmallest(MAX_NAMES, counts, key=lambda name: (-counts[name], name)))
    return {name: name if name in frequent else OTHER for name in counts}
