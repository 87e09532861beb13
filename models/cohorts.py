"""How the sessions of an assessment did, and how one of them compares (R19 to R22)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from errors import NotFound
from models import sql
from models.assessments import Assessment
from models.base import Query, db
from models.database import snapshot
from models.keys import CandidateKey
from models.rollups import CohortCount, CohortRollup
from models.sessions import COHORT_COLUMNS, Session
from rules import rollups
from rules.cohorts import METRICS, Metric, average, pass_rate, percentile
from rules.rollups import LEVELS
from rules.rows import row_id, row_json


def members(assessment: Assessment) -> Query:
    """The cohort's sessions with their keys, in the order in which they started."""
    query = Session.select(Session, CandidateKey).join(CandidateKey)
    query = query.where(Session.assessment == assessment, Session.closed_at.is_null(False))
    return query.order_by(Session.created_at, Session.id)


def statistics(assessment_id: Any) -> dict[str, Any] | None:
    """The cohort's averages; None without a cohort."""
    rollup = CohortRollup.get_or_none(CohortRollup.assessment == assessment_id)
    return _statistics(rollup.totals) if rollup and rollup.totals else None


def comparison(assessment_id: Any, session_id: Any) -> dict[str, Any] | None:
    """The cohort's averages with the session's percentiles, if it is one of at least two.

    Raises NotFound if the assessment has no such session.
    """
    found = ranks([session_id], METRICS) if session_id else []
    if not found or found[0].assessment_id != assessment_id:
        raise NotFound()
    totals = found[0].totals
    if not totals:
        return None
    is_ranked = found[0].closed_at is not None and totals["sessions"] >= 2
    return _statistics(totals) | ({"percentiles": dict(map(_percentile, found))} if is_ranked else {})


def percentiles(
    session_ids: Sequence[Any], metrics: Sequence[Metric] = METRICS
) -> dict[Any, dict[str, float | None]]:
    """The percentiles of closed sessions, each in its own cohort, by session id and the metrics' fields."""
    found: dict[Any, dict[str, float | None]] = {session_id: {} for session_id in session_ids}
    for rank in ranks(session_ids, metrics):
        found[rank.session_id].update([_percentile(rank)])
    return found


def _statistics(totals: Mapping[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {"session_count": totals["sessions"], "metrics": _averages(totals)}
    versions = rollups.versions(totals)
    return found | {"derivation_versions": versions} if len(versions) > 1 else found


def _averages(totals: Mapping[str, int]) -> dict[str, Any]:
    averages = {f"avg_{metric.field}": average(*_sum_and_count(totals, metric), metric) for metric in METRICS}
    return averages | {"test_pass_rate": pass_rate(totals.get("passed", 0), totals["sessions"])}


def _sum_and_count(totals: Mapping[str, int], metric: Metric) -> tuple[int, int]:
    return totals.get(f"{metric.field}_sum", 0), totals.get(f"{metric.field}_count", 0)


def _percentile(rank: "Rank") -> tuple[str, float | None]:
    metric = METRICS[rank.metric]
    _, n = _sum_and_count(rank.totals or {}, metric)
    return metric.field, percentile(rank.beaten, n, rank.merit is not None)


class Rank(NamedTuple):
    """A session's rank by one metric, with its cohort's totals. `merit` is None where it has no value."""

    session_id: Any
    assessment_id: Any
    closed_at: Any
    metric: int
    merit: int | None
    beaten: int
    totals: dict[str, int] | None


def ranks(session_ids: Sequence[Any], metrics: Sequence[Metric]) -> list[Rank]:
    """How many sessions of its cohort each session beats by each metric.

    One statement, so that session, totals and counters belong together: a percentile is never above 1.
    """
    if not session_ids:
        return []
    ids = {f"id_{number}": session_id for number, session_id in enumerate(session_ids)}
    found = sql.rows(_ranks(tuple(metrics), len(ids)), **ids)
    return [
        Rank(
            row_id(session), row_id(assessment), closed_at, metric, merit, int(beaten or 0), row_json(totals)
        )
        for session, assessment, closed_at, metric, merit, beaten, totals in found
    ]


@lru_cache
def _ranks(metrics: tuple[Metric, ...], sessions: int) -> str:
    indexes = [METRICS.index(metric) for metric in metrics]
    merits = [f"WHEN {METRICS.index(m)} THEN {'-' if m.lower_is_better else ''}s.{m.field}" for m in metrics]
    levels = [f"({n}, {level.shift}, {level.parent_shift or 'NULL'})" for n, level in enumerate(LEVELS)]
    return sql.RANKS.format(
        metrics=", ".join(f"({index})" for index in indexes),
        levels=", ".join(levels),
        merits=" ".join(merits),
        session_ids=", ".join(f":id_{number}" for number in range(sessions)),
    )


# Rebuild and verify: all sessions of the cohort are counted as at their close.


def rebuild(assessment: Assessment) -> None:
    """Recount the cohort. Its closes wait until the end; its statistics stay available."""
    with db.atomic():
        rollup = CohortRollup.locked_for(assessment.id)
        totals, counts = _recount(assessment)
        rollup.set_totals(totals)
        CohortCount.delete().where(CohortCount.assessment_id == assessment.id).execute()
        CohortCount.add(assessment.id, counts)


def first_difference(assessment: Assessment) -> str | None:
    """The first counter that differs from the sessions, in words; None if all agree."""
    with snapshot():
        totals, counts = _recount(assessment)
        rollup = CohortRollup.get_or_none(CohortRollup.assessment == assessment)
        stored = Counter(rollup.totals if rollup else {})
        for name in sorted(rollups.difference(totals, stored)):
            return f"{name} is {stored[name]} and should be {totals[name]}"
        for place, surplus in sorted(rollups.difference(counts, CohortCount.of(assessment)).items()):
            metric, level, bucket = place
            return f"{METRICS[metric].field}, level {level}, bucket {bucket} has {surplus} too many"
    return None


def _recount(assessment: Assessment) -> tuple[Counter[str], Counter[rollups.Place]]:
    """The totals and counters of all sessions that have been derived, which happens first at the close."""
    columns = [getattr(Session, name) for name in COHORT_COLUMNS]
    query: Any = Session.select(*columns).where(
        Session.assessment == assessment, Session.derivation_version.is_null(False)
    )
    totals, counts = Counter[str](), Counter[rollups.Place]()
    for session in query.dicts().iterator():
        totals.update(rollups.totals(session))
        counts.update(rollups.counts(session))
    return totals, counts
