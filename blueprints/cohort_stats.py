"""Cohort statistics of an assessment."""

from access import auth, reports_unknown
from blueprints import Blueprint, find
from models import ApiToken, Assessment, cohorts, sessions
from schemas.cohort_stats import CohortQuery, CohortStatistics
from schemas.fields import parse_id

blp = Blueprint("Cohort statistics", __name__, description="Averages and percentiles of sessions.")


@blp.get("/assessments/<id:assessment_id>/cohort-stats")
@auth.required(ApiToken)
@reports_unknown
@blp.arguments(CohortQuery, location="query")
@blp.response(200, CohortStatistics)
def cohort_stats(query, assessment_id):
    """Get cohort statistics

    Averages of all completed, expired and hired sessions; with `sessionId` also that session's percentiles. Null while
    there are no such sessions.
    """
    assessment = find(Assessment, assessment_id)
    sessions.settle_all(assessment_id=assessment.id)
    if "session_id" in query:
        return {"cohort_stats": cohorts.comparison(assessment.id, parse_id(query["session_id"]))}
    return {"cohort_stats": cohorts.statistics(assessment.id)}
