"""Cohort statistics of an assessment, and a session's percentiles in them (R19 to R22)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import peewee

from errors import NotFound
from models import cohort_summaries, sql
from models.assessments import Assessment
from models.base import Query, db
from models.database import snapshot
from models.keys import CandidateKey
from models.rollups import CohortCount, CohortRollup
from models.sessions import COHORT_COLUMNS, Session
from rules.metrics.derivation import observations
from rules.rows import row_id, row_json
from rules.statistics import rollups
from rules.statistics.cohorts import (
    METRICS,
    SMALL_COHORT,
    SMALL_NOTE,
    Metric,
    average,
    pass_rate,
    percentile,
    place,
    shown_value,
)
from rules.statistics.rollups import EXACT, LEVELS


def members(assessment: Assessment) -> Query:
    """The cohort's sessions with their keys, in the order in which they started."""
    query = Session.select(Session, CandidateKey).join(CandidateKey)
    query = query.where(Session.assessment == assessment, Session.closed_at.is_null(False))
    return query.order_by(Session.created_at, Session.id)


def statistics(assessment_id: Any) -> dict[str, Any] | None:
    """The cohort's averages and distributions; None without a cohort."""
    with snapshot():
        rollup = CohortRollup.get_or_none(CohortRollup.assessment == assessment_id)
        return _statistics(assessment_id, rollup.totals) if rollup and rollup.totals else None


def comparison(assessment_id: Any, session_id: Any) -> dict[str, Any] | None:
    """The same, with the session's place if it is in the cohort, and its percentiles if there are at least two.

    Raises NotFound if the assessment has no such session.
    """
    with snapshot():
        session_ranks = ranks([session_id], METRICS) if session_id else []
        if not session_ranks or session_ranks[0].assessment_id != assessment_id:
            raise NotFound()
        totals = session_ranks[0].totals
        if not totals:
            return None
        response = _statistics(assessment_id, totals)
        if session_ranks[0].closed_at is None:
            return response
        for field, place in _places(session_id, session_ranks).items():
            response["summary"][field] |= place
        if totals["sessions"] < 2:
            return response
        return response | {"percentiles": {rank.metric.field: rank.percentile for rank in session_ranks}}


def _places(session_id: Any, session_ranks: Sequence["Rank"]) -> dict[str, dict[str, Any]]:
    """By the metrics' fields, a session's value, what it rests on, and its place among the other sessions."""
    columns: Any = Session.select(*(getattr(Session, name) for name in COHORT_COLUMNS))
    observed = observations(columns.where(Session.id == session_id).dicts().get())
    return {
        rank.metric.field: {"value_observations": observed[rank.metric.field]}
        | {"value": shown_value(rank.value, rank.metric)}
        | place(rank.beaten, rank.equal, rank.n, rank.metric, rank.value is not None)
        for rank in session_ranks
    }


def percentiles(
    session_ids: Sequence[Any], metrics: Sequence[Metric] = METRICS
) -> dict[Any, dict[str, float | None]]:
    """The percentiles of closed sessions, each in its own cohort, by session id and the metrics' fields."""
    by_session: dict[Any, dict[str, float | None]] = {session_id: {} for session_id in session_ids}
    for rank in ranks(session_ids, metrics):
        by_session[rank.session_id][rank.metric.field] = rank.percentile
    return by_session


def _statistics(assessment_id: Any, totals: Mapping[str, int]) -> dict[str, Any]:
    counts = Counter(totals)
    is_open = (Session.assessment == assessment_id) & Session.closed_at.is_null()
    averages = {
        f"avg_{metric.field}": average(counts[f"{metric.field}_sum"], counts[f"{metric.field}_count"], metric)
        for metric in METRICS
    }
    rate = {"test_pass_rate": pass_rate(counts["passed"], counts["sessions"])}
    versions = rollups.versions(totals)
    response: dict[str, Any] = {
        "session_count": counts["sessions"],
        "metrics": averages | rate,
        "summary": cohort_summaries.summaries(assessment_id, totals),
        "open": Session.select().where(is_open).count(),
        "empty": counts["empty"],
        "small": counts["sessions"] < SMALL_COHORT,
        "small_note": SMALL_NOTE if counts["sessions"] < SMALL_COHORT else None,
    }
    return response | {"derivation_versions": versions} if len(versions) > 1 else response


class Rank(NamedTuple):
    """A session's rank by one metric, with its cohort's totals. `merit` is None without a value."""

    session_id: Any
    assessment_id: Any
    closed_at: Any
    metric: Metric
    merit: int | None
    beaten: int
    equal: int  # others with the same value
    totals: dict[str, int] | None

    @property
    def value(self) -> int | None:
        return None if self.merit is None else rollups.merit(self.metric, self.merit)

    @property
    def n(self) -> int:
        """The number of sessions with a value."""
        return (self.totals or {}).get(f"{self.metric.field}_count", 0)

    @property
    def percentile(self) -> float | None:
        return percentile(self.beaten, self.n, self.merit is not None)


def ranks(session_ids: Sequence[Any], metrics: Sequence[Metric]) -> list[Rank]:
    """The number of sessions of its cohort that each session beats by each metric.

    One statement, so that session, totals and counters are consistent: a percentile is never above 1.
    """
    if not session_ids:
        return []
    names, values = sql.in_list("id", session_ids)
    rows = sql.rows(_ranks(tuple(metrics), names), **values)
    return [
        Rank(
            row_id(session),
            row_id(cohort),
            closed,
            METRICS[index],
            merit,
            int(beaten or 0),
            (tied or 1) - 1,
            row_json(sums),
        )
        for session, cohort, closed, index, merit, beaten, tied, sums in rows
    ]


def _ranks(metrics: tuple[Metric, ...], session_ids: str) -> str:
    signs = {metric: "-" if metric.lower_is_better else "" for metric in metrics}
    merits = [f"WHEN {METRICS.index(metric)} THEN {sign}s.{metric.field}" for metric, sign in signs.items()]
    levels = [f"({i}, {level.shift}, {level.parent_shift or 'NULL'})" for i, level in enumerate(LEVELS)]
    return sql.RANKS.format(
        metrics=", ".join(f"({METRICS.index(metric)})" for metric in metrics),
        levels=", ".join(levels),
        merits=" ".join(merits),
        session_ids=session_ids,
        exact=EXACT,
    )


def rebuild(assessment: Assessment) -> None:
    """Recount keys and cohort. Closes wait until the end; statistics stay available."""
    with db.atomic():
        first = (rollups.KEYS, 0, 0)
        # Locks the counter, so that two rebuilds at once do not add the same difference twice.
        CohortCount.add(assessment.id, {first: 0})
        CohortCount.add(assessment.id, {first: _missing_keys(assessment)})
    with db.atomic():
        rollup = CohortRollup.locked_for(assessment.id)
        totals, counts = _recount(assessment)
        rollup.set_totals(totals)
        CohortCount.delete().where(CohortCount.is_of_cohort(assessment)).execute()
        CohortCount.add(assessment.id, counts)


def first_difference(assessment: Assessment) -> str | None:
    """Describe the first counter that differs from the keys or sessions; None if all agree."""
    with snapshot():
        if missing := _missing_keys(assessment):
            return f"the total of keys has {-missing} too many"
        totals, counts = _recount(assessment)
        rollup = CohortRollup.get_or_none(CohortRollup.assessment == assessment)
        stored = Counter(rollup.totals if rollup else {})
        for name in sorted(rollups.difference(totals, stored)):
            return f"{name} is {stored[name]} and should be {totals[name]}"
        differences = rollups.difference(counts, CohortCount.of(assessment))
        for (metric, level, bucket), surplus in sorted(differences.items()):
            return f"{METRICS[metric].field}, level {level}, bucket {bucket} has {surplus} too many"
    return None


def _missing_keys(assessment: Assessment) -> int:
    """The number of keys that are not counted; one statement, so that it is exact while keys change."""
    is_counter = (CohortCount.assessment_id == assessment.id) & (CohortCount.metric == rollups.KEYS)
    counted = CohortCount.select(peewee.fn.COALESCE(peewee.fn.SUM(CohortCount.n), 0)).where(is_counter)
    keys = CandidateKey.select(peewee.fn.COUNT(CandidateKey.id) - counted)
    return int(keys.where(CandidateKey.assessment == assessment, CandidateKey.revoked_at.is_null()).scalar())


def _recount(assessment: Assessment) -> tuple[Counter[str], Counter[rollups.Place]]:
    """The totals and counters of all sessions with derived metrics, first derived at the close."""
    query = Session.select(*(getattr(Session, name) for name in COHORT_COLUMNS))
    derived: Any = query.where(Session.assessment == assessment, Session.derivation_version.is_null(False))
    totals, counts = Counter[str](), Counter[rollups.Place]()
    for session in derived.dicts().iterator():
        totals.update(rollups.totals(session))
        counts.update(rollups.counts(session))
    return totals, counts
