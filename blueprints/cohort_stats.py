"""Cohort statistics of an assessment, and selection rates of its groups."""

from access import audit, auth, reports_unknown
from blueprints import Blueprint, find
from models import ApiToken, Assessment, cohorts, fairness, sessions
from schemas.cohort_stats import CohortQuery, CohortStatistics
from schemas.fairness import FairnessReport, NewFairnessReport
from schemas.fields import parse_id

blp = Blueprint("Cohort statistics", __name__, description="Statistics of sessions and decisions.")


@blp.get("/assessments/<id:assessment_id>/cohort-stats")
@auth.required(ApiToken)
@reports_unknown
@blp.arguments(CohortQuery, location="query")
@blp.response(200, CohortStatistics)
def get_cohort_stats(query, assessment_id):
    """Get cohort statistics

    Averages and distributions of all completed, expired and hired sessions; with `sessionId` also that session's
    percentiles, values and ranks. Null while there are no such sessions.
    """
    assessment = find(Assessment, assessment_id)
    sessions.close_all_due(assessment_id=assessment.id)
    if "session_id" in query:
        return {"cohort_stats": cohorts.comparison(assessment.id, parse_id(query["session_id"]))}
    return {"cohort_stats": cohorts.statistics(assessment.id)}


@blp.post("/assessments/<id:assessment_id>/fairness")
@auth.required(ApiToken)
@blp.arguments(NewFairnessReport)
@blp.response(200, FairnessReport)
@audit.reading
def compare_groups(data, assessment_id):
    """Compare the selection rates of groups

    Selected are advanced and hired candidates, among those who are advanced, rejected or hired. Each group is compared
    with the one with the highest rate: impact ratio (four-fifths rule, 29 CFR 1607.4 D) and Fisher's exact test. Small
    groups are suppressed, and others that would reveal them. Nothing about the groups is stored.
    """
    return fairness.compare_groups(find(Assessment, assessment_id), data["groups"])
