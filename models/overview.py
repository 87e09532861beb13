"""An organization's sessions: list, and funnel with medians."""

from collections import defaultdict
from typing import Any

import peewee

from models import sql
from models.assessments import Assessment
from models.base import Query, clock, utc_month
from models.keys import CandidateKey
from models.orgs import Organization
from models.sessions import Session
from rules.statistics.cohorts import METRICS, quartiles

FUNNEL = ("invited", "redeemed", "completed", "reviewed", "hired")
# The aliases that `sql.STATUS` expects.
S, K, A = Session.alias("s"), CandidateKey.alias("k"), Assessment.alias("a")


def sessions(organization: Organization, **filters: Any) -> Query:
    """Select the organization's sessions as dictionaries, oldest first, excluding deleted assessments.

    filters -- `assessment_id`, `status`, `external_id`, `redeemed_from`, `redeemed_to`, `created_after`,
        `updated_after`; all optional
    """
    status = _status()
    conditions = {
        "assessment_id": S.assessment == filters.get("assessment_id"),
        "status": status == filters.get("status"),
        "external_id": K.external_id == filters.get("external_id"),
        "redeemed_from": S.created_at >= filters.get("redeemed_from"),
        "redeemed_to": S.created_at < filters.get("redeemed_to"),
        "created_after": S.created_at > filters.get("created_after"),
        "updated_after": S.id.in_(Session.changed_after(organization, filters.get("updated_after"))),
    }
    query = S.select(
        S.id,
        S.assessment.alias("assessment_id"),
        S.key.alias("key_id"),
        S.key.alias("candidate_id"),
        *(S.created_at, S.created_at.alias("redeemed_at")),
        peewee.fn.COALESCE(S.updated_at, S.created_at).alias("updated_at"),
        *(S.closes_at, S.closed_at, S.completed_at, S.hired_at),
        *(S.tests_passed_count, S.tests_failed_count, S.tests_skipped_count, S.tests_note),
        peewee.fn.COALESCE(Organization.display_name, Organization.name).alias("org_name"),
        *(A.title.alias("assessment_title"), K.external_id, K.candidate_name, K.candidate_email),
        status.alias("status"),
    )
    query = _with_key_and_assessment(query).join(Organization, on=(Organization.id == S.organization))
    query = query.where(S.organization == organization, A.deleted_at.is_null())
    query = query.where(*(conditions[name] for name in filters))
    return query.order_by(S.created_at, S.id).dicts()


def overview(organization: Organization, assessment_id: Any = None) -> dict[str, Any]:
    """Return the funnel and medians: overall, by assessment, and by month of the invitation (UTC)."""
    rows = funnel_counts(organization, assessment_id) + _metric_values(organization, assessment_id)
    return _summarize(rows) | {
        "by_assessment": [
            {"assessment_id": row_id, "assessment_title": title} | _summarize(group)
            for (row_id, title), group in _group(rows, "assessment_id", "assessment_title").items()
        ],
        "by_month": [
            {"month": month} | _summarize(group) for (month,), group in sorted(_group(rows, "month").items())
        ],
    }


def _status() -> Any:
    return sql.node(sql.STATUS, now=clock.now())


def _with_key_and_assessment(query: Query) -> Query:
    return query.join(K, on=(K.id == S.key)).join(A, on=(A.id == S.assessment))


def funnel_counts(organization: Organization, assessment_id: Any = None) -> list[dict[str, Any]]:
    """Return the funnel by assessment and month, oldest assessment first.

    Excludes keys that were revoked before they were redeemed, unless an erasure revoked them.
    """
    completed = S.completed_at.is_null(False) | S.hired_at.is_null(False)
    is_reviewed = completed & (S.score_total.is_null(False) | (K.decision != "undecided"))
    was_invited = K.revoked_at.is_null() | (K.revoked_at == K.erased_at) | S.id.is_null(False)
    month = utc_month(K.created_at)
    query = K.select(
        K.assessment.alias("assessment_id"),
        A.title.alias("assessment_title"),
        month.alias("month"),
        peewee.fn.COUNT(K.id).alias("invited"),
        peewee.fn.COUNT(S.id).alias("redeemed"),
        peewee.fn.COUNT(peewee.Case(None, ((completed, 1),))).alias("completed"),
        peewee.fn.COUNT(peewee.Case(None, ((is_reviewed, 1),))).alias("reviewed"),
        peewee.fn.COUNT(S.hired_at).alias("hired"),
    )
    query = query.join(A, on=(A.id == K.assessment)).join(S, peewee.JOIN.LEFT_OUTER, on=(S.key == K.id))
    query = query.where(K.organization == organization, A.deleted_at.is_null(), was_invited)
    if assessment_id is not None:
        query = query.where(K.assessment == assessment_id)
    query = query.group_by(K.assessment, A.title, A.created_at, month)
    rows: Any = query.order_by(A.created_at, K.assessment).dicts()
    return list(rows)


def _metric_values(organization: Organization, assessment_id: Any) -> list[dict[str, Any]]:
    """Return the assessment, month and METRICS of each closed session."""
    columns = (S.assessment.alias("assessment_id"), A.title.alias("assessment_title"))
    columns += (utc_month(K.created_at).alias("month"), *(getattr(S, metric.field) for metric in METRICS))
    query = _with_key_and_assessment(S.select(*columns))
    query = query.where(S.organization == organization, S.closed_at.is_null(False), A.deleted_at.is_null())
    return list((query if assessment_id is None else query.where(S.assessment == assessment_id)).dicts())


def _group(rows: list[dict[str, Any]], *names: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def _summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum the funnel and compute the median of each metric. A row contains either counts or metric values."""
    medians = {}
    for metric in METRICS:
        values = sorted(row[metric.field] for row in rows if row.get(metric.field) is not None)
        medians[metric.field] = quartiles(values, metric)["median"]
    return {"funnel": {name: sum(row.get(name, 0) for row in rows) for name in FUNNEL}, "medians": medians}
