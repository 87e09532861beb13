"""What the events of a session, and the sessions of an organization, say in numbers."""

from typing import Any

from access import audit, auth
from access.auth import caller
from blueprints import Blueprint, find
from models import ApiToken, ModelUsage, Session, cohorts, overview, sessions, timeline
from rules.analyzed_events import AnalyzedEvent
from rules.cohorts import METRICS
from rules.error_episodes import ErrorEpisode
from schemas.analytics import Analytics, Overview, OverviewQuery, TopCandidates, TopQuery
from schemas.cohort_stats import CohortStatistics

blp = Blueprint("Analytics", __name__, description="How candidates worked, in numbers.")

NANO = 10**9
METRIC_OF = {metric.name: metric for metric in METRICS}


@blp.get("/sessions/<id:session_id>/analytics")
@auth.required(ApiToken)
@blp.response(200, Analytics)
@audit.reading
def get_analytics(session_id):
    """Analyse a session

    Where the time went, when somebody worked, tools, tokens and cost by model, and each run of errors with how it
    ended. Read from the events as they are now, so it works while the session is open too.
    """
    session = find(Session, session_id)
    found = timeline.analyze(session)
    return found.times._asdict() | {
        "sittings": found.sittings,
        "turns": found.turns,
        "tools": _most_used_first(found.tools),
        "models": [use._asdict() | {"cost_usd": _dollars(use.cost_nano_usd)} for use in found.models],
        "total_cost_usd": _dollars(found.total_cost_nano_usd),
        "proxy_usage": [
            use | {"cost_usd": _dollars(use["cost_nano_usd"])} for use in ModelUsage.by_model(session)
        ],
        "error_episodes": [_episode(episode) for episode in found.error_episodes],
    }


@blp.get("/sessions/<id:session_id>/cohort-stats")
@auth.required(ApiToken)
@blp.response(200, CohortStatistics)
def get_session_cohort_stats(session_id):
    """Compare a session with its cohort

    The statistics of the session's assessment, with the session's percentiles once it is closed and not the only
    one. Null while no session of the assessment is closed.
    """
    session = find(Session, session_id)
    sessions.settle_all(assessment_id=session.assessment_id)
    return {"cohort_stats": cohorts.comparison(session.assessment_id, session.id)}


@blp.get("/analytics/overview")
@auth.required(ApiToken)
@blp.arguments(OverviewQuery, location="query")
@blp.response(200, Overview)
def get_overview(query):
    """Get an overview

    How many candidates were invited, began, completed and were hired, and the medians of their sessions: of all, by
    assessment, and by the month of the invitation.
    """
    sessions.settle_all(organization_id=caller.organization_id)
    return overview.overview(caller.organization, query.get("assessment_id"))


@blp.get("/analytics/top-candidates")
@auth.required(ApiToken)
@blp.arguments(TopQuery, location="query")
@blp.response(200, TopCandidates)
def get_top_candidates(query):
    """Sort candidates by a metric

    By the one that you choose: there is no score that says who is better. High values come first, of
    `commandFailRate` low ones; sessions without a value are left out.
    """
    sessions.settle_all(organization_id=caller.organization_id)
    metric = METRIC_OF[query["metric"]]
    found = overview.top(caller.organization, metric, query["limit"], query.get("assessment_id"))
    return {"metric": metric.name, "candidates": found}


def _most_used_first(tools: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"name": name, "calls": calls} for name, calls in sorted(tools.items(), key=lambda tool: -tool[1])
    ]


def _dollars(nano_usd: int | None) -> float | None:
    return None if nano_usd is None else nano_usd / NANO


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
