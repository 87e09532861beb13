"""The distribution of each metric in a cohort, from its counters (docs/statistics.md)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from models import sql
from rules.statistics.cohorts import METRICS, Metric, quartile_ranks, quartiles
from rules.statistics.rollups import Range, find_rank, merit

# The searched ranks by range: pairs of the rank in the cohort and the rank in the range.
Search = dict[Range, list[tuple[int, int]]]


def summaries(assessment_id: Any, totals: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """By the metrics' fields: the number of sessions with a value, what the values rest on, and their quartiles."""
    sizes = {metric: totals.get(f"{metric.field}_count", 0) for metric in METRICS}
    values = _values(assessment_id, {metric: n for metric, n in sizes.items() if n})
    return {
        metric.field: {"n": n, "observations": _observations(totals, metric), "direction": metric.direction}
        | quartiles(n, values.get(metric, {}), metric)
        for metric, n in sizes.items()
    }


def _observations(totals: Mapping[str, int], metric: Metric) -> int | None:
    is_known = not totals.get(f"{metric.field}_unobserved")
    return totals.get(f"{metric.field}_observations", 0) if is_known else None


def _values(assessment_id: Any, sizes: Mapping[Metric, int]) -> dict[Metric, dict[int, int]]:
    """The stored values at the ranks that the quartiles need."""
    search: Search = defaultdict(list)
    for metric, n in sizes.items():
        for rank in {rank for pair in quartile_ranks(n) for rank in pair}:
            place = Range.to_search(METRICS.index(metric), n, rank)
            search[place].append((rank, 0 if place.end else rank))
    merits = _merits(assessment_id, search)
    values: dict[Metric, dict[int, int]] = {}
    for metric, n in sizes.items():
        by_rank = merits[METRICS.index(metric)]
        # Where lower is better, the order of merit is the opposite one.
        values[metric] = {
            n - 1 - rank if metric.lower_is_better else rank: merit(metric, value)
            for rank, value in by_rank.items()
        }
    return values


def _merits(assessment_id: Any, search: Search) -> dict[int, dict[int, int]]:
    """By metric and rank, the merit; one statement for each level of the tree."""
    found: dict[int, dict[int, int]] = defaultdict(dict)
    while search:
        counters = _counters(assessment_id, search)
        below: Search = defaultdict(list)
        for place, ranks in search.items():
            for rank, rest in ranks if counters[place] else []:
                bucket, sessions, rest = find_rank(counters[place], rest)
                if place.is_exact:
                    found[place.metric][rank] = bucket
                else:
                    below[place.below(bucket, sessions)].append((rank, rest))
        search = below
    return found


def _counters(assessment_id: Any, ranges: Iterable[Range]) -> dict[Range, list[tuple[int, int]]]:
    """The counters in each range as (bucket, sessions), by ascending bucket."""
    places = list(ranges)
    values = {
        f"{name}{number}": getattr(place, name)
        for number, place in enumerate(places)
        for name in ("metric", "level", "first", "last")
    }
    counters: dict[Range, list[tuple[int, int]]] = {place: [] for place in places}
    text = sql.counters(tuple(place.end for place in places))
    for number, bucket, sessions in sql.rows(text, assessment_id=assessment_id, **values):
        counters[places[number]].append((bucket, sessions))
    return {place: sorted(found) for place, found in counters.items()}
