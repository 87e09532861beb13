"""Cohort statistics of an assessment, and a session's percentiles in them (R19 to R22)."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson

from errors import NotFound
from models import sql
from models.assessments import Assessment
from models.base import Query, is_postgres
from models.keys import CandidateKey
from models.sessions import Session
from rules.statistics.cohorts import (
    METRICS,
    SMALL_COHORT,
    SMALL_NOTE,
    Metric,
    average,
    beaten_and_equal,
    pass_rate,
    percentile,
    place,
    quartiles,
    shown_value,
)

# The database collects each metric's values, and Python adds and sorts them: SQLite's SUM overflows, and PostgreSQL's
# percentile_cont returns floats. One statement, so that a session and its cohort are consistent.
_STATEMENT = """
    SELECT cohort.*, own.id, own.closed_at, {own}
    FROM (
        SELECT COUNT(*), COUNT(*) FILTER (WHERE tests_passed), COUNT(*) FILTER (WHERE event_count = 0),
            CAST({json_array}(DISTINCT derivation_version) AS TEXT),
            (SELECT COUNT(*) FROM sessions WHERE assessment_id = :assessment_id AND closed_at IS NULL), {values}
        FROM sessions WHERE assessment_id = :assessment_id AND closed_at IS NOT NULL
    ) AS cohort
    LEFT JOIN sessions own ON own.id = :session_id AND own.assessment_id = :assessment_id
"""
_VALUES = """
    CAST({json_array}({field}) FILTER (WHERE {field} IS NOT NULL) AS TEXT),
    SUM({observed}) FILTER (WHERE {field} IS NOT NULL)
"""


class Distribution(NamedTuple):
    """One metric's values in a cohort, sorted, and the values of the session to compare, if any."""

    metric: Metric
    values: list[int]
    observations: int
    own_value: int | None
    own_observations: int

    @property
    def average(self) -> int | float | None:
        return average(sum(self.values), len(self.values), self.metric)

    @property
    def summary(self) -> dict[str, Any]:
        counts = {"n": len(self.values), "observations": self.observations}
        return counts | {"direction": self.metric.direction} | quartiles(self.values, self.metric)

    @property
    def place(self) -> dict[str, Any]:
        """The session's value, the observations that it is based on, and its place among the other sessions."""
        has_value = self.own_value is not None
        return {
            "value": shown_value(self.own_value, self.metric),
            "value_observations": self.own_observations,
        } | place(*self._beaten_and_equal, len(self.values), self.metric, has_value)

    @property
    def percentile(self) -> float | None:
        return percentile(self._beaten_and_equal[0], len(self.values), self.own_value is not None)

    @property
    def _beaten_and_equal(self) -> tuple[int, int]:
        return (
            (0, 0) if self.own_value is None else beaten_and_equal(self.values, self.own_value, self.metric)
        )


class Cohort(NamedTuple):
    """The closed sessions of an assessment in numbers. `has_session` and `includes_session` are about the session to
    compare: the assessment has it, and it is closed."""

    sessions: int
    passed: int
    empty: int
    open: int
    versions: list[int]
    distributions: list[Distribution]
    has_session: bool
    includes_session: bool

    @classmethod
    def of(cls, assessment_id: Any, session_id: Any = None) -> "Cohort":
        text = _statement("json_agg" if is_postgres() else "json_group_array")
        ((sessions, passed, empty, versions, still_open, *columns),) = sql.rows(
            text, assessment_id=assessment_id, session_id=session_id
        )
        collected, (own_id, own_closed_at, *own) = columns[: 2 * len(METRICS)], columns[2 * len(METRICS) :]
        distributions = [
            Distribution(
                metric,
                sorted(orjson.loads(collected[2 * index] or "[]")),
                int(collected[2 * index + 1] or 0),
                own[2 * index],
                0 if own[2 * index] is None else own[2 * index + 1],
            )
            for index, metric in enumerate(METRICS)
        ]
        return cls(
            sessions=sessions,
            passed=passed,
            empty=empty,
            open=still_open,
            versions=sorted(orjson.loads(versions or "[]")),
            distributions=distributions,
            has_session=own_id is not None,
            includes_session=own_closed_at is not None,
        )

    @property
    def statistics(self) -> dict[str, Any]:
        averages = {f"avg_{each.metric.field}": each.average for each in self.distributions}
        is_small = self.sessions < SMALL_COHORT
        response: dict[str, Any] = {
            "session_count": self.sessions,
            "metrics": averages | {"test_pass_rate": pass_rate(self.passed, self.sessions)},
            "summary": {each.metric.field: each.summary for each in self.distributions},
            "open": self.open,
            "empty": self.empty,
            "small": is_small,
            "small_note": SMALL_NOTE if is_small else None,
        }
        return response | {"derivation_versions": self.versions} if len(self.versions) > 1 else response


@cache
def _statement(json_array: str) -> str:
    values = [
        _VALUES.format(json_array=json_array, field=metric.field, observed=metric.observed)
        for metric in METRICS
    ]
    own = [f"own.{metric.field}, own.{metric.observed}" for metric in METRICS]
    return _STATEMENT.format(json_array=json_array, values=", ".join(values), own=", ".join(own))


def members(assessment: Assessment) -> Query:
    """The cohort's sessions with their keys, in the order in which they started."""
    query = Session.select(Session, CandidateKey).join(CandidateKey)
    query = query.where(Session.assessment == assessment, Session.closed_at.is_null(False))
    return query.order_by(Session.created_at, Session.id)


def statistics(assessment_id: Any) -> dict[str, Any] | None:
    """The cohort's averages and distributions; None without a cohort."""
    cohort = Cohort.of(assessment_id)
    return cohort.statistics if cohort.sessions else None


def comparison(assessment_id: Any, session_id: Any) -> dict[str, Any] | None:
    """The statistics, with the session's place if the cohort has it, and percentiles for two or more sessions.

    Raises NotFound if the assessment has no such session.
    """
    cohort = Cohort.of(assessment_id, session_id)
    if not cohort.has_session:
        raise NotFound()
    if not cohort.sessions:
        return None
    response = cohort.statistics
    if not cohort.includes_session:
        return response
    for each in cohort.distributions:
        response["summary"][each.metric.field] |= each.place
    if cohort.sessions < 2:
        return response
    return response | {"percentiles": {each.metric.field: each.percentile for each in cohort.distributions}}


def percentiles(cohort: Sequence[Session]) -> dict[Any, dict[str, float | None]]:
    """The percentiles of all sessions of a cohort, by session id and the metrics' fields."""
    by_session: dict[Any, dict[str, float | None]] = {session.id: {} for session in cohort}
    for metric in METRICS:
        own = {session.id: getattr(session, metric.field) for session in cohort}
        values = sorted(value for value in own.values() if value is not None)
        for session_id, value in own.items():
            beaten = 0 if value is None else beaten_and_equal(values, value, metric)[0]
            by_session[session_id][metric.field] = percentile(beaten, len(values), value is not None)
    return by_session
