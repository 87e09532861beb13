"""An organization's sessions together: the list, the funnel with medians, and the top of one metric."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import peewee

from models import cohorts, sql
from models.assessments import Assessment
from models.base import Query, clock, is_postgres
from models.keys import CandidateKey
from models.orgs import Organization
from models.sessions import Session
from rules.cohorts import METRICS, Metric, average, median

FUNNEL = ("invited", "redeemed", "completed", "hired")
# The aliases of models.sql, for its definition of the status.
S, K, A = Session.alias("s"), CandidateKey.alias("k"), Assessment.alias("a")


def sessions(organization: Organization, **filters: Any) -> Query:
    """The organization's sessions of present assessments as rows, oldest first.

    filters -- `assessment_id`, `status`, `redeemed_from`, `redeemed_to`; all optional
    """
    status = _status()
    conditions = {
        "assessment_id": S.assessment == filters.get("assessment_id"),
        "status": status == filters.get("status"),
        "redeemed_from": S.created_at >= filters.get("redeemed_from"),
        "redeemed_to": S.created_at < filters.get("redeemed_to"),
    }
    query = S.select(
        S.id,
        S.assessment.alias("assessment_id"),
        S.key.alias("key_id"),
        S.created_at.alias("redeemed_at"),
        S.closes_at,
        S.closed_at,
        S.completed_at,
        S.hired_at,
        S.tests_passed_count,
        S.tests_failed_count,
        S.tests_skipped_count,
        S.tests_note,
        peewee.fn.COALESCE(Organization.display_name, Organization.name).alias("org_name"),
        A.title.alias("assessment_title"),
        K.candidate_name,
        K.candidate_email,
        status.alias("status"),
    )
    query = _with_key_and_assessment(query).join(Organization, on=(Organization.id == S.organization))
    query = query.where(S.organization == organization, A.deleted_at.is_null())
    query = query.where(*(conditions[name] for name in filters))
    return query.order_by(S.created_at, S.id).dicts()


def overview(organization: Organization, assessment_id: Any = None) -> dict[str, Any]:
    """The funnel and the medians: of everything, by assessment, and by the month of the invitation in UTC."""
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
    column = getattr(S, metric.field)
    query = S.select(
        S.id.alias("session_id"),
        S.key.alias("candidate_id"),
        S.assessment.alias("assessment_id"),
        S.completed_at,
        A.title.alias("assessment_title"),
        K.candidate_name,
        K.candidate_email,
        _status().alias("status"),
        column.alias("value"),
    )
    query = _closed(_with_key_and_assessment(query), organization, assessment_id).where(column.is_null(False))
    best_first = column.asc() if metric.lower_is_better else column.desc()
    best: Any = list(query.order_by(best_first, S.created_at, S.id).limit(limit).dicts())
    percentiles = cohorts.percentiles([row["session_id"] for row in best], [metric])
    return [
        row
        | {"value": average(row["value"], 1, metric) if metric.unit != 1 else row["value"]}
        | {"percentile": percentiles[row["session_id"]][metric.field]}
        for row in best
    ]


def _status() -> Any:
    return sql.node(sql.STATUS, now=clock.now())


def _with_key_and_assessment(query: Query) -> Query:
    return query.join(K, on=(K.id == S.key)).join(A, on=(A.id == S.assessment))


def _closed(query: Query, organization: Organization, assessment_id: Any) -> Query:
    query = query.where(S.organization == organization, S.closed_at.is_null(False), A.deleted_at.is_null())
    return query if assessment_id is None else query.where(S.assessment == assessment_id)


def _month() -> Any:
    """The month in which a key was generated, `2026-04`."""
    if is_postgres():
        return peewee.fn.to_char(peewee.fn.timezone("UTC", K.created_at), "YYYY-MM").coerce(False)
    return peewee.fn.substr(K.created_at, 1, 7).coerce(False)


def _counts(organization: Organization, assessment_id: Any) -> list[dict[str, Any]]:
    """The funnel by assessment and month, oldest assessment first."""
    completed = S.completed_at.is_null(False) | S.hired_at.is_null(False)
    month = _month()
    query = K.select(
        K.assessment.alias("assessment_id"),
        A.title.alias("assessment_title"),
        month.alias("month"),
        peewee.fn.COUNT(K.id).alias("invited"),
        peewee.fn.COUNT(S.id).alias("redeemed"),
        peewee.fn.COUNT(peewee.Case(None, ((completed, 1),))).alias("completed"),
        peewee.fn.COUNT(S.hired_at).alias("hired"),
    )
    query = query.join(A, on=(A.id == K.assessment)).join(S, peewee.JOIN.LEFT_OUTER, on=(S.key == K.id))
    query = query.where(
        K.organization == organization,
        A.deleted_at.is_null(),
        _was_invited(),
    )
    if assessment_id is not None:
        query = query.where(K.assessment == assessment_id)
    query = query.group_by(K.assessment, A.title, A.created_at, month)
    rows: Any = query.order_by(A.created_at, K.assessment).dicts()
    return list(rows)


def _was_invited() -> peewee.Expression:
    """Leaves out keys that were revoked before they were redeemed; erased candidates stay in the funnel."""
    by_erasure = K.revoked_at == K.erased_at
    return K.revoked_at.is_null() | by_erasure | S.id.is_null(False)


def _values(organization: Organization, assessment_id: Any) -> list[dict[str, Any]]:
    """Each closed session's assessment, month and values of METRICS."""
    query = S.select(
        S.assessment.alias("assessment_id"),
        A.title.alias("assessment_title"),
        _month().alias("month"),
        *(getattr(S, metric.field) for metric in METRICS),
    )
    rows: Any = _closed(_with_key_and_assessment(query), organization, assessment_id).dicts()
    return list(rows)


def _grouped(
    counts: Sequence[dict[str, Any]], values: Sequence[dict[str, Any]], names: tuple[str, ...]
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """(key, numbers) of each group, in the order of `counts`."""
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
