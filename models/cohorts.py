"""How the sessions of an assessment did, and how one of them compares (R19 to R22)."""

from typing import Any

from models.assessments import Assessment, CandidateKey
from models.base import Query
from models.sessions import Session
from rules.cohorts import METRICS, average, pass_rate, percentile


def members(assessment: Assessment) -> Query:
    """The cohort's sessions with their keys, in the order in which they began."""
    query = Session.select(Session, CandidateKey).join(CandidateKey)
    query = query.where(Session.assessment == assessment, Session.closed_at.is_null(False))
    return query.order_by(Session.created_at, Session.id)


def statistics(assessment: Assessment, session: Session | None = None) -> dict[str, Any] | None:
    """The cohort's averages, and the session's percentiles where it is one of at least two; None without a cohort."""
    sums = Session.cohort_sums(assessment)
    if sums["sessions"] == 0:
        return None
    shown: dict[str, Any] = {"session_count": sums["sessions"], "metrics": _averages(sums)}
    if sums["oldest_version"] != sums["newest_version"]:
        shown["derivation_versions"] = Session.derivation_versions(assessment)
    if session is not None and session.closed_at is not None and sums["sessions"] >= 2:
        shown["percentiles"] = percentiles(session, sums)
    return shown


def percentiles(session: Session, sums: dict[str, int]) -> dict[str, float | None]:
    """How a session of the cohort ranks, by metric; `sums` are those of `Session.cohort_sums`."""
    beaten = session.beaten()
    return {
        metric.field: percentile(
            beaten[metric.field], sums[f"{metric.field}_count"], getattr(session, metric.field) is not None
        )
        for metric in METRICS
    }


def _averages(sums: dict[str, int]) -> dict[str, Any]:
    averages = {
        f"avg_{metric.field}": average(sums[f"{metric.field}_sum"], sums[f"{metric.field}_count"], metric)
        for metric in METRICS
    }
    return averages | {"test_pass_rate": pass_rate(sums["passed"], sums["sessions"])}
