"""How the sessions of an assessment did, and how one of them compares."""

import auth
from blueprints import Blueprint, find
from errors import NotFound
from models import Assessment, Reviewer, Session, cohorts
from schemas import parse_id
from schemas.cohort_stats import CohortQuery, CohortStatistics

blp = Blueprint("Cohort statistics", __name__, description="The numbers of all sessions of an assessment.")


@blp.get("/assessments/<id:assessment_id>/cohort-stats")
@auth.required(Reviewer)
@blp.arguments(CohortQuery, location="query")
@blp.response(200, CohortStatistics)
def cohort_stats(query, assessment_id):
    """Get cohort statistics

    Averages over all completed, expired and hired sessions; with `sessionId` also how that session ranks among them.
    Null while there are none.
    """
    assessment = find(Assessment, assessment_id)
    Session.settle_all(Session.assessment == assessment)
    session = _session(assessment, query["session_id"]) if "session_id" in query else None
    return {"cohort_stats": cohorts.statistics(assessment, session)}


def _session(assessment: Assessment, text: str) -> Session:
    session = Session.get_or_none(Session.id == parse_id(text), Session.assessment == assessment)
    if session is None:
        raise NotFound()
    return session
