"""Statistics of an assessment's reviewers."""

from access import auth, caller, concurrency
from blueprints import Blueprint, find
from models import ApiToken, Assessment
from models.review.statistics import reviewer_statistics
from schemas.review.statistics import Reviewers

blp = Blueprint("Reviewers", __name__, description="Comparison of an assessment's reviewers.")


@blp.get("/assessments/<id:assessment_id>/reviewers")
@auth.required(ApiToken)
@concurrency.long_read
@blp.response(200, Reviewers)
def compare_reviewers(assessment_id):
    """Compare the reviewers

    Each reviewer's mean, spread and number of current scores, and the mean difference from the other reviewers of the
    same sessions on each criterion. Leaves out sessions whose scores are hidden from the caller.
    """
    return {"reviewers": reviewer_statistics(caller, find(Assessment, assessment_id))}
