"""How the sessions of an assessment did, and how one of them compares (R19 to R22)."""

from collections.abc import Mapping, Sequence
from typing import Any

from errors import NotFound
from models.assessments import Assessment, CandidateKey
from models.base import Query, db
from models.rollups import CohortRollup
from models.sessions import Session
from rules import rollups
from rules.cohorts import METRICS, Metric, average, pass_rate, percentile
from rules.rollups import LEVELS


def members(assessment: Assessment) -> Query:
    """The cohort's sessions with their keys, in the order in which they began."""
    query = Session.select(Session, CandidateKey).join(CandidateKey)
    query = query.where(Session.assessment == assessment, Session.closed_at.is_null(False))
    return query.order_by(Session.created_at, Session.id)


def statistics(assessment: Assessment) -> dict[str, Any] | None:
    """The cohort's averages; None without a cohort."""
    rollup = CohortRollup.get_or_none(CohortRollup.assessment == assessment)
    return _shown(rollup.totals) if rollup and rollup.totals else None


def compared(assessment: Assessment, session_id: Any) -> dict[str, Any] | None:
    """The same with the session's percentiles, where it is one of at least two.

    Raises NotFound where the assessment has no such session.
    """
    rows = ranked([session_id], METRICS)
    if not rows or rows[0]["assessment"] != assessment.id:
        raise NotFound()
    totals = rows[0]["totals"]
    if not totals:
        return None
    is_ranked = rows[0]["closed_at"] is not None and totals["sessions"] >= 2
    return _shown(totals) | ({"percentiles": dict(map(_percentile, rows))} if is_ranked else {})


def percentiles(
    session_ids: Sequence[Any], metrics: Sequence[Metric] = METRICS
) -> dict[Any, dict[str, float | None]]:
    """How closed sessions rank, each in its own cohort, by the metrics' fields."""
    found: dict[Any, dict[str, float | None]] = {session_id: {} for session_id in session_ids}
    for row in ranked(session_ids, metrics):
        found[Session.id.python_value(row["session_id"])].update([_percentile(row)])
    return found


def _shown(totals: Mapping[str, int]) -> dict[str, Any]:
    shown: dict[str, Any] = {"session_count": totals["sessions"], "metrics": _averages(totals)}
    versions = rollups.versions(totals)
    return shown | {"derivation_versions": versions} if len(versions) > 1 else shown


def _averages(totals: Mapping[str, int]) -> dict[str, Any]:
    averages = {f"avg_{metric.field}": average(*_sum_and_count(totals, metric), metric) for metric in METRICS}
    return averages | {"test_pass_rate": pass_rate(totals.get("passed", 0), totals["sessions"])}


def _sum_and_count(totals: Mapping[str, int], metric: Metric) -> tuple[int, int]:
    return totals.get(f"{metric.field}_sum", 0), totals.get(f"{metric.field}_count", 0)


def _percentile(row: Mapping[str, Any]) -> tuple[str, float | None]:
    metric = METRICS[row["metric"]]
    _, n = _sum_and_count(row["totals"], metric)
    return metric.field, percentile(int(row["beaten"]), n, row["merit"] is not None)


# Ranks


def ranked(session_ids: Sequence[Any], metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """For each session and metric how many sessions of its cohort it beats, beside the cohort's totals.

    One statement, so that session, totals and counters are of one moment: a percentile is never above 1.
    """
    if not session_ids:
        return []
    ids = [Session.id.db_value(session_id) for session_id in session_ids]
    places = [METRICS.index(metric) for metric in metrics]
    text = _RANKS.replace("<ids>", _marks(ids)).replace("<metrics>", _marks(places))
    rows: Any = CohortRollup.raw(text, *ids, *places).dicts()
    return list(rows)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join([db.param] * len(values))


def _beaten(number: int, shift: int, bits: int | None) -> str:
    """How many sessions of the cohort stand to the left of one, among its siblings on one level of the tree."""
    first = "" if bits is None else f"AND c.bucket >= (ranked.merit >> {shift + bits}) << {bits}"
    return f"""(
        SELECT COALESCE(SUM(c.n), 0) FROM cohort_counts c
        WHERE c.assessment_id = ranked.assessment AND c.metric = ranked.metric AND c.level = {number}
        AND c.bucket < ranked.merit >> {shift} {first}
    )"""


def _merit(place: int, metric: Metric) -> str:
    return f"WHEN {place} THEN {'-' if metric.lower_is_better else ''}s.{metric.field}"


# As text, since peewee would take longer to write it than the database to answer it. Each level is a subquery of its
# own, which can only be an index range: as a join the planner may prefer to read all counters of the cohort.
_RANKS = f"""
WITH metrics (metric) AS (VALUES {", ".join(f"({place})" for place in range(len(METRICS)))})
SELECT ranked.*, {" + ".join(_beaten(number, *level) for number, level in enumerate(LEVELS))} AS beaten
FROM (
    SELECT s.id AS session_id, s.assessment_id AS assessment, s.closed_at, r.totals, m.metric,
        CASE m.metric {" ".join(_merit(place, metric) for place, metric in enumerate(METRICS))} END AS merit
    FROM sessions s CROSS JOIN metrics m LEFT JOIN cohort_rollups r ON r.assessment_id = s.assessment_id
    WHERE s.id IN (<ids>) AND m.metric IN (<metrics>)
) ranked
ORDER BY ranked.metric
"""
