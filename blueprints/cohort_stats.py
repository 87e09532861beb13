"""An assessment's cohort statistics and selection rates by group."""

from access import audit, auth, reports_ignored_fields
from blueprints import Blueprint, find
from models import ApiToken, Assessment, cohorts, fairness, sessions
from schemas.cohort_stats import CohortQuery, CohortStatistics
from schemas.fairness import FairnessReport, NewFairnessReport
from schemas.fields import parse_id

blp = Blueprint("Cohort statistics", __name__, description="Session statistics and selection rates.")


@blp.get("/assessments/<id:assessment_id>/cohort-stats")
@auth.required(ApiToken)
@reports_ignored_fields
@blp.arguments(CohortQuery, location="query")
@blp.response(200, CohortStatistics)
def get_cohort_stats(query, assessment_id):
    """Get cohort statistics

    Averages and distributions across completed, expired and hired sessions. With `sessionId`, includes that session's
    percentiles, values and ranks. Null if there are no such sessions.
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
@audit.record_read
def compare_groups(data, assessment_id):
    """Compare groups' selection rates

    The selection rate is the share of advanced and hired candidates among all candidates with a hiring decision. Each
    group is compared with the group that has the highest rate: impact ratio (four-fifths rule, 29 CFR 1607.4 D) and
    Fisher's exact test. Suppresses small groups, and any group whose numbers would reveal a suppressed one. Groups are
    not stored.
    """
    return fairness.compare_groups(find(Assessment, assessment_id), data["groups"])
