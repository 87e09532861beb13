"""Assessments: create, list, look at, change, delete."""

from flask import jsonify

from access import audit, auth, gates
from access.auth import caller
from access.idempotency import idempotent
from blueprints import Blueprint, find, refuses
from errors import AlreadyBegun, NotFound, QuotaExceeded
from models import ApiToken, Assessment, CandidateKey, Issue
from rules.rows import row_id
from schemas.assessments import (
    AssessmentChange,
    Assessments,
    DeletedAssessment,
    NewAssessment,
    OneAssessment,
    OneTask,
    assessment_of,
)

blp = Blueprint("Assessments", __name__, description="What candidates are invited to.")


@blp.post("/assessments")
@auth.required(ApiToken, scope="write")
@idempotent
@gates.subscribed
@refuses(QuotaExceeded)
@blp.arguments(NewAssessment)
@blp.response(201, OneAssessment)
@audit.change(created="assessment")
def create_assessment(data):
    """Create an assessment

    A task brief is taken from the issue when none is given, and stays as it is if the issue changes later; so does
    the repository. Counts towards the plan's monthly quota.
    """
    created = Assessment.open(caller, **data)
    return {"assessment": find(Assessment, created.id)}


@blp.get("/assessments")
@auth.required(ApiToken)
@blp.response(200, Assessments)
def list_assessments():
    """List assessments

    All that are not deleted, oldest first, each with its linked issue.
    """
    query = Assessment.visible_to(caller)
    return {"assessments": list(query.order_by(Assessment.created_at, Assessment.id))}


@blp.get("/assessments/<id:assessment_id>")
@auth.required(ApiToken | CandidateKey)
@blp.response(200, OneAssessment)
def get_assessment(assessment_id):
    """Get an assessment

    With its linked issue, if there is one. A candidate sees the assessment of the own key.
    """
    if not isinstance(caller, CandidateKey):
        return {"assessment": find(Assessment, assessment_id)}
    row = caller.assessment_row
    if assessment_id != row_id(row.id):
        raise NotFound()
    issue = find(Issue, row_id(row.issue_id)) if row.issue_id else None
    return jsonify(assessment=assessment_of(row, issue))


@blp.get("/assessments/<id:assessment_id>/task")
@auth.required(ApiToken)
@blp.response(200, OneTask)
def get_task(assessment_id):
    """Get what candidates are given

    The brief in both forms, repository and commit, set-up, tools and budget: what the candidate's client is told at
    redeem.
    """
    return {"task": find(Assessment, assessment_id)}


@blp.patch("/assessments/<id:assessment_id>")
@auth.required(ApiToken, scope="write")
@refuses(AlreadyBegun)
@blp.arguments(AssessmentChange)
@blp.response(200, OneAssessment)
@audit.change()
def change_assessment(data, assessment_id):
    """Change an assessment

    What is left out stays; null clears. `expiresInDays` (for keys to come), `reminderDaysBefore` and `rubricId` can
    always change; everything that candidates are shown only until the first key is redeemed. Another `repoUrl` begins
    at no commit, in no folder and without a set-up.
    """
    find(Assessment, assessment_id).change(caller, data)
    return {"assessment": find(Assessment, assessment_id)}


@blp.delete("/assessments/<id:assessment_id>")
@auth.required(ApiToken, scope="write")
@blp.response(200, DeletedAssessment)
@audit.change()
def delete_assessment(assessment_id):
    """Delete an assessment

    It and its keys appear in no list and no look-up any more, and candidates are locked out at once. Sessions and
    their events stay stored, out of sight.
    """
    find(Assessment, assessment_id).delete_softly()
    return {"ok": True, "id": assessment_id}
