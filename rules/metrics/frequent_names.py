"""Limit the number of names in a session's metrics: a client can send a different name with each event."""

from collections.abc import Mapping
from heapq import nsmallest

MAX_NAMES = 200  # far more tools or models than a session uses
OTHER = "other"


def reported_names(counts: Mapping[str, int]) -> dict[str, str]:
    """Map each name to its name in the metrics: itself if it is frequent, otherwise OTHER.

    Ties are broken alphabetically.
    """
    frequent = set(nsmallest(MAX_NAMES, counts, key=lambda name: (-counts[name], name)))
    return {name: name if name in frequent else OTHER for name in counts}
