"""An organization's sessions together: a list of them, a funnel with medians, and the top of one metric."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import peewee

from models import cohorts
from models.assessments import Assessment, CandidateKey
from models.base import Query, clock, is_postgres
from models.orgs import Organization
from models.sessions import Session, key_status
from rules.cohorts import METRICS, Metric, average, median

FUNNEL = ("invited", "redeemed", "completed", "hired")
# In the order of METRICS.
_VALUES = [getattr(Session, metric.field) for metric in METRICS]


def sessions(organization: Organization) -> Query:
    """The organization's sessions with what a list shows of them, save those of deleted assessments."""
    query = Session.select(
        Session.id,
        Session.assessment,
        Session.key,
        Session.created_at,
        Session.closes_at,
        Session.closed_at,
        Session.completed_at,
        Session.hired_at,
        Session.tests_passed_count,
        Session.tests_failed_count,
        Session.tests_skipped_count,
        Session.tests_note,
        peewee.fn.COALESCE(Organization.display_name, Organization.name).alias("org_name"),
        Assessment.title.alias("assessment_title"),
        CandidateKey.candidate_name,
        CandidateKey.candidate_email,
        key_status(clock.now()).alias("status"),
    )
    query = _with_key_and_assessment(query).switch(Session).join(Organization)
    return query.where(Session.organization == organization, Assessment.deleted_at.is_null())


def overview(organization: Organization, assessment_id: Any = None) -> dict[str, Any]:
    """The funnel and the medians of all, by assessment, and by the month of the invitation in UTC."""
    counts = _counts(organization, assessment_id)
    values = _values(organization, assessment_id)
    return _numbers(counts, values) | {
        "by_assessment": [
            {"assessment_id": key[0], "assessment_title": key[1]} | numbers
            for key, numbers in _grouped(counts, values, ("assessment_id", "assessment_title"))
        ],
        "by_month": [
            {"month": month} | numbers
            for (month,), numbers in sorted(_grouped(counts, values, ("month",)), key=lambda group: group[0])
        ],
    }


def top(
    organization: Organization, metric: Metric, limit: int, assessment_id: Any = None
) -> list[dict[str, Any]]:
    """The closed sessions with the best values of a metric, each with its percentile in its own cohort (R20)."""
    column = getattr(Session, metric.field)
    query = Session.select(
        Session.id.alias("session_id"),
        Session.key.alias("candidate_id"),
        Session.assessment.alias("assessment_id"),
        Session.completed_at,
        Assessment.title.alias("assessment_title"),
        CandidateKey.candidate_name,
        CandidateKey.candidate_email,
        key_status(clock.now()).alias("status"),
        column.alias("value"),
    )
    query = _closed(_with_key_and_assessment(query), organization, assessment_id).where(column.is_null(False))
    best_first = column.asc() if metric.lower_is_better else column.desc()
    best: Any = list(query.order_by(best_first, Session.created_at, Session.id).limit(limit).dicts())
    ranks = cohorts.percentiles([row["session_id"] for row in best], [metric])
    return [_shown(row, metric) | {"percentile": ranks[row["session_id"]][metric.field]} for row in best]


def _shown(row: dict[str, Any], metric: Metric) -> dict[str, Any]:
    return row if metric.unit == 1 else row | {"value": average(row["value"], 1, metric)}


def _with_key_and_assessment(query: Query) -> Query:
    return query.join(CandidateKey).switch(Session).join(Assessment)


def _closed(query: Query, organization: Organization, assessment_id: Any) -> Query:
    query = query.where(
        Session.organization == organization,
        Session.closed_at.is_null(False),
        Assessment.deleted_at.is_null(),
    )
    return query if assessment_id is None else query.where(Session.assessment == assessment_id)


def _month() -> Any:
    """The month in which a key was issued, `2026-04`."""
    if is_postgres():
        issued = peewee.fn.timezone("UTC", CandidateKey.created_at)
        return peewee.fn.to_char(issued, "YYYY-MM").coerce(False)
    return peewee.fn.substr(CandidateKey.created_at, 1, 7).coerce(False)


def _counts(organization: Organization, assessment_id: Any) -> list[dict[str, Any]]:
    """The funnel's numbers by assessment and month, oldest assessment first."""
    completed = Session.completed_at.is_null(False) | Session.hired_at.is_null(False)
    month = _month()
    query = CandidateKey.select(
        CandidateKey.assessment.alias("assessment_id"),
        Assessment.title.alias("assessment_title"),
        month.alias("month"),
        peewee.fn.COUNT(CandidateKey.id).alias("invited"),
        peewee.fn.COUNT(Session.id).alias("redeemed"),
        peewee.fn.COUNT(peewee.Case(None, ((completed, 1),))).alias("completed"),
        peewee.fn.COUNT(Session.hired_at).alias("hired"),
    )
    query = query.join(Assessment).switch(CandidateKey).join(Session, peewee.JOIN.LEFT_OUTER)
    query = query.where(
        CandidateKey.organization == organization,
        Assessment.deleted_at.is_null(),
        _was_invited(),
    )
    if assessment_id is not None:
        query = query.where(CandidateKey.assessment == assessment_id)
    query = query.group_by(CandidateKey.assessment, Assessment.title, Assessment.created_at, month)
    rows: Any = query.order_by(Assessment.created_at, CandidateKey.assessment).dicts()
    return list(rows)


def _was_invited() -> peewee.Expression:
    """Not where a reviewer took the key back before anything came of it; an erasure takes nobody out of the funnel."""
    by_erasure = CandidateKey.revoked_at == CandidateKey.erased_at
    return CandidateKey.revoked_at.is_null() | by_erasure | Session.id.is_null(False)


def _values(organization: Organization, assessment_id: Any) -> list[dict[str, Any]]:
    """Each closed session's assessment and month, with its values of METRICS."""
    query = Session.select(
        Session.assessment.alias("assessment_id"),
        Assessment.title.alias("assessment_title"),
        _month().alias("month"),
        *_VALUES,
    )
    rows: Any = _closed(_with_key_and_assessment(query), organization, assessment_id).dicts()
    return list(rows)


def _grouped(
    counts: Sequence[dict[str, Any]], values: Sequence[dict[str, Any]], names: tuple[str, ...]
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """(key, numbers) of each group, in the order of `counts`; whoever has values has been invited too."""
    groups: dict[tuple[Any, ...], tuple[list, list]] = defaultdict(lambda: ([], []))
    for place, rows in enumerate((counts, values)):
        for row in rows:
            groups[tuple(row[name] for name in names)][place].append(row)
    return [(key, _numbers(*rows)) for key, rows in groups.items()]


def _numbers(counts: Iterable[dict[str, Any]], values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counted = list(counts)
    return {
        "funnel": {name: sum(row[name] for row in counted) for name in FUNNEL},
        "medians": {metric.field: _median(metric, values) for metric in METRICS},
    }


def _median(metric: Metric, values: Sequence[dict[str, Any]]) -> int | float | None:
    return median([row[metric.field] for row in values if row[metric.field] is not None], metric)
