"""Numbers of a session's events, and of an organization's sessions."""

from typing import Any

from access import audit, auth, caller, concurrency
from blueprints import Blueprint, find
from models import ApiToken, ModelUsage, Session, cohorts, overview, progress, sessions, visibility
from models.sessions import timeline
from rules.metrics.analyzed_events import AnalyzedEvent
from rules.metrics.error_episodes import ErrorEpisode
from rules.statistics.cohorts import METRICS
from schemas.analytics import Analytics, Overview, OverviewQuery, Progress, TopCandidates, TopQuery
from schemas.cohort_stats import CohortStatistics

blp = Blueprint("Analytics", __name__, description="Metrics of candidates' work.")


@blp.get("/sessions/<id:session_id>/analytics")
@auth.required(ApiToken)
@concurrency.long_read
@blp.response(200, Analytics)
@audit.reading
def get_analytics(session_id):
    """Analyze a session

    Time per phase, work periods, tools, tokens and cost per model, and error episodes with their outcome. Computed
    from the session's current events, so it also works while the session is open.
    """
    session = find(Session, session_id)
    analysis = timeline.analyze(session)
    calls = sorted(analysis.tools.items(), key=lambda tool: -tool[1])
    return analysis.times._asdict() | {
        "phase_spans": analysis.phase_spans,
        "verifications": analysis.verifications,
        "work_periods": analysis.work_periods,
        "turns": analysis.turns,
        "tools": [{"name": name, "calls": count} for name, count in calls],
        "models": [use._asdict() | {"cost_usd": _dollars(use.cost_nano_usd)} for use in analysis.models],
        "total_cost_usd": _dollars(analysis.total_cost_nano_usd),
        "proxy_usage": [
            use | {"cost_usd": _dollars(use["cost_nano_usd"])} for use in ModelUsage.by_model(session)
        ],
        "error_episodes": [_episode(episode) for episode in analysis.error_episodes],
    }


@blp.get("/sessions/<id:session_id>/cohort-stats")
@auth.required(ApiToken)
@blp.response(200, CohortStatistics)
def get_session_cohort_stats(session_id):
    """Compare a session with its cohort

    The statistics of the session's assessment, with the session's percentiles if it is closed and has others to compare
    with. Null until a session of the assessment has closed.
    """
    session = find(Session, session_id)
    sessions.close_all_due(assessment_id=session.assessment_id)
    return {"cohort_stats": cohorts.comparison(session.assessment_id, session.id)}


@blp.get("/analytics/overview")
@auth.required(ApiToken)
@blp.arguments(OverviewQuery, location="query")
@blp.response(200, Overview)
def get_overview(query):
    """Get an overview

    The funnel from invited to hired and the medians of closed sessions: in total, by assessment, and by the month of
    the invitation.
    """
    sessions.close_all_due(organization_id=caller.organization_id)
    return overview.overview(caller.organization, query.get("assessment_id"))


@blp.get("/analytics/progress")
@auth.required(ApiToken)
@blp.response(200, Progress)
def get_progress():
    """Get the progress of all assessments

    The funnel of each assessment, and the numbers of sessions and messages that are waiting for a reviewer. People see
    disagreements only about sessions that they have scored.
    """
    sessions.close_all_due(organization_id=caller.organization_id)
    return {"assessments": progress.by_assessment(caller)}


@blp.get("/analytics/top-candidates")
@auth.required(ApiToken)
@blp.arguments(TopQuery, location="query")
@blp.response(200, TopCandidates)
def get_top_candidates(query):
    """List candidates sorted by a metric

    You choose the metric; there is no overall score. For most metrics neither high nor low values are better:
    `direction` says so. Sessions without a value are omitted.
    """
    sessions.close_all_due(organization_id=caller.organization_id)
    metric = next(metric for metric in METRICS if metric.name == query["metric"])
    order = query.get("order") or ("asc" if metric.lower_is_better else "desc")
    candidates = overview.top(caller.organization, metric, order, query["limit"], query.get("assessment_id"))
    candidates = visibility.redact_rows(caller, candidates, "candidate_id")
    return {"metric": metric.name, "order": order, "direction": metric.direction, "candidates": candidates}


def _dollars(nano_usd: int | None) -> float | None:
    return None if nano_usd is None else nano_usd / 10**9


def _episode(episode: ErrorEpisode) -> dict[str, Any]:
    return episode._asdict() | {
        "failure_count": len(episode.failures),
        "first_failure": _check(episode.failures[0]),
        "last_failure": _check(episode.failures[-1]),
        "ended_by": None if episode.ended_by is None else _check(episode.ended_by),
    }


def _check(event: AnalyzedEvent) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "time_ns": event.time_ns,
        "command": event.subject,
        "output": event.failure_output,
    }
