"""An assessment's cohort statistics, and its sessions' percentiles (R19 to R22)."""

from functools import cache
from typing import Any, NamedTuple

import orjson

from errors import NotFound
from models import sql
from models.base import is_postgres
from models.sessions import Session
from rules.statistics.cohorts import (
    METRICS,
    SMALL_COHORT,
    SMALL_NOTE,
    Metric,
    api_value,
    average,
    beaten_and_equal,
    left_out_note,
    pass_rate,
    percentile,
    placement,
    quartiles,
)

# A single statement keeps the session consistent with its cohort. Python adds and sorts the values: SQLite's SUM
# overflows, and PostgreSQL's percentile_cont returns floats.
_STATEMENT = """
    SELECT cohort.*, {session}
    FROM (
        SELECT COUNT(*), COUNT(*) FILTER (WHERE tests_passed), COUNT(*) FILTER (WHERE event_count = 0),
            (SELECT COUNT(*) FROM sessions WHERE assessment_id = :assessment_id AND closed_at IS NULL), {columns}
        FROM sessions WHERE assessment_id = :assessment_id AND closed_at IS NOT NULL
    ) AS cohort
    LEFT JOIN sessions s ON s.id = :session_id AND s.assessment_id = :assessment_id
"""
# A metric's values as a JSON array, excluding values of the wrong type, which SQLite can store.
_ON_POSTGRES = ("CAST(json_agg({0}) FILTER (WHERE {1}) AS TEXT)", "{0} IS NOT NULL")
_ON_SQLITE = ("json_group_array({0}) FILTER (WHERE {1})", "typeof({0}) = 'integer'")
_SESSION = sql.Columns(
    Session,
    "s",
    " ".join({"id", "closed_at"}.union(*((metric.field, metric.observed) for metric in METRICS))),
)


class Distribution(NamedTuple):
    """One metric's sorted values in a cohort, and the value of the session to compare, if any.

    left_out -- number of sessions with metrics, but without a value
    """

    metric: Metric
    values: list[int]
    observations: int
    left_out: int
    session_value: int | None
    session_observations: int

    @property
    def average(self) -> int | float | None:
        return average(sum(self.values), len(self.values), self.metric)

    @property
    def summary(self) -> dict[str, Any]:
        counts = {"n": len(self.values), "observations": self.observations}
        note = left_out_note(self.left_out, self.metric)
        summary = counts | {"direction": self.metric.direction} | quartiles(self.values, self.metric)
        return summary | ({"note": note} if note else {})

    @property
    def placement(self) -> dict[str, Any]:
        """The session's value, its number of observations, and its rank."""
        has_value = self.session_value is not None
        return {
            "value": api_value(self.session_value, self.metric),
            "value_observations": self.session_observations if has_value else 0,
        } | placement(*self._beaten_and_equal, len(self.values), self.metric, has_value)

    @property
    def percentile(self) -> float | None:
        return percentile(self._beaten_and_equal[0], len(self.values), self.session_value is not None)

    @property
    def _beaten_and_equal(self) -> tuple[int, int]:
        if self.session_value is None:
            return 0, 0
        return beaten_and_equal(self.values, self.session_value, self.metric)


class Cohort(NamedTuple):
    """Counts and distributions across an assessment's closed sessions, and the session to compare, if any."""

    sessions: int
    passed: int
    empty: int
    open: int
    versions: list[int]
    distributions: list[Distribution]
    session: Session

    @classmethod
    def of(cls, assessment_id: Any, session_id: Any = None) -> "Cohort":
        text = _statement(*(_ON_POSTGRES if is_postgres() else _ON_SQLITE))
        ((sessions, passed, empty, open_count, versions, *columns),) = sql.rows(
            text, assessment_id=assessment_id, session_id=session_id
        )
        session, version_of_each = _SESSION.build(columns[2 * len(METRICS) :]), _parse_array(versions)
        distributions = [
            Distribution(
                metric,
                values := sorted(_parse_array(array)),
                int(observations or 0),
                len(version_of_each) - len(values),
                getattr(session, metric.field),
                getattr(session, metric.observed),
            )
            for metric, array, observations in zip(METRICS, columns[::2], columns[1::2], strict=False)
        ]
        return cls(sessions, passed, empty, open_count, sorted(set(version_of_each)), distributions, session)

    @property
    def statistics(self) -> dict[str, Any]:
        averages = {
            f"avg_{distribution.metric.field}": distribution.average for distribution in self.distributions
        }
        is_small = self.sessions < SMALL_COHORT
        response: dict[str, Any] = {
            "session_count": self.sessions,
            "metrics": averages | {"test_pass_rate": pass_rate(self.passed, self.sessions)},
            "summary": {
                distribution.metric.field: distribution.summary for distribution in self.distributions
            },
            "open": self.open,
            "empty": self.empty,
            "small": is_small,
            "small_note": SMALL_NOTE if is_small else None,
        }
        return response | {"derivation_versions": self.versions} if len(self.versions) > 1 else response


def _parse_array(array: str | None) -> list[int]:
    return orjson.loads(array or "[]")


@cache
def _statement(array: str, is_integer: str) -> str:
    columns = [array.format("derivation_version", is_integer.format("derivation_version"))]
    for metric in METRICS:
        has_value, is_observed = is_integer.format(metric.field), is_integer.format(metric.observed)
        columns.append(array.format(metric.field, has_value))
        columns.append(f"SUM({metric.observed}) FILTER (WHERE {has_value} AND {is_observed})")
    return _STATEMENT.format(columns=", ".join(columns), session=_SESSION.text)


def statistics(assessment_id: Any) -> dict[str, Any] | None:
    """Return the cohort's averages and distributions; None if no session is closed."""
    cohort = Cohort.of(assessment_id)
    return cohort.statistics if cohort.sessions else None


def comparison(assessment_id: Any, session_id: Any) -> dict[str, Any] | None:
    """Return the statistics, including the ranks of a closed session.

    Percentiles require at least two closed sessions.

    Raises NotFound if the assessment has no such session.
    """
    cohort = Cohort.of(assessment_id, session_id)
    if cohort.session.id is None:
        raise NotFound()
    if not cohort.sessions:
        return None
    response = cohort.statistics
    if cohort.session.closed_at is None:
        return response
    for distribution in cohort.distributions:
        response["summary"][distribution.metric.field] |= distribution.placement
    if cohort.sessions < 2:
        return response
    percentiles = {
        distribution.metric.field: distribution.percentile for distribution in cohort.distributions
    }
    return response | {"percentiles": percentiles}
