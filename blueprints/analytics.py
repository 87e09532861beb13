"""Analytics for one session, and for an organization's sessions."""

from access import audit, auth, caller, concurrency
from blueprints import Blueprint, find
from models import ApiToken, ModelUsage, Session, cohorts, overview, progress, sessions
from models.sessions import timeline
from schemas.analytics import Analytics, Overview, OverviewQuery, Progress
from schemas.cohort_stats import CohortStatistics

blp = Blueprint("Analytics", __name__, description="Metrics of candidates' work.")


@blp.get("/sessions/<id:session_id>/analytics")
@auth.required(ApiToken)
@concurrency.long_read
@blp.response(200, Analytics)
@audit.record_read
def get_analytics(session_id):
    """Analyze a session

    Time per phase, work periods, tools, tokens and cost per model, and error episodes with their outcome. Computed
    from the session's current events, even while the session is open.
    """
    session = find(Session, session_id)
    analysis = timeline.analyze(session)
    calls = sorted(analysis.tools.items(), key=lambda tool: -tool[1])
    episodes = [
        episode._asdict()
        | {
            "failure_count": len(episode.failures),
            "first_failure": episode.failures[0],
            "last_failure": episode.failures[-1],
        }
        for episode in analysis.error_episodes
    ]
    return (
        analysis._asdict()
        | analysis.times._asdict()
        | {
            "tools": [{"name": name, "calls": count} for name, count in calls],
            "proxy_usage": ModelUsage.by_model(session),
            "error_episodes": episodes,
        }
    )


@blp.get("/sessions/<id:session_id>/cohort-stats")
@auth.required(ApiToken)
@blp.response(200, CohortStatistics)
def get_session_cohort_stats(session_id):
    """Compare a session with its cohort

    The assessment's statistics. Once this session and at least one other are closed, includes this session's
    percentiles. Null until the assessment has a closed session.
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

    The funnel from invited to hired, and the medians of closed sessions: in total, by assessment, and by month of
    invitation.
    """
    sessions.close_all_due(organization_id=caller.organization_id)
    return overview.overview(caller.organization, query.get("assessment_id"))


@blp.get("/analytics/progress")
@auth.required(ApiToken)
@blp.response(200, Progress)
def get_progress():
    """Get assessment progress

    Each assessment's funnel, and the number of sessions and messages that need a reviewer. Disagreements include only
    sessions whose scores are visible to the caller.
    """
    sessions.close_all_due(organization_id=caller.organization_id)
    return {"assessments": progress.by_assessment(caller)}
