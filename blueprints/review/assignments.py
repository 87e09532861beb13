"""Assignments of sessions to reviewers."""

from access import audit, auth, caller, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find, page
from errors import NoRubric
from models import ApiToken, Assessment, Assignment
from schemas.queries import PageQuery
from schemas.review.assignments import AddedAssignments, Assignments, NewAssignments, RemovedAssignment

blp = Blueprint("Assignments", __name__, description="Sessions assigned to reviewers.")


@blp.get("/assessments/<id:assessment_id>/assignments")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, Assignments)
def list_assignments(query, assessment_id):
    """List assignments

    An assessment's assignments, oldest first, without removed ones.
    """
    return page("assignments", Assignment.of(find(Assessment, assessment_id)), query)


@blp.post("/assessments/<id:assessment_id>/assignments")
@auth.required(ApiToken, scope="write")
@idempotent
@raises(NoRubric)
@blp.arguments(NewAssignments)
@blp.response(201, AddedAssignments)
@audit.record_change()
def assign_sessions(data, assessment_id):
    """Assign sessions

    Distributes closed sessions without a decision evenly among the people, at random. Nobody gets a session twice, or
    one that they have scored. At most 2000 new assignments in one request. Each person gets one email. An assignment
    ends when its person can no longer score.
    """
    assessment = find(Assessment, assessment_id)
    ids = Assignment.assign(assessment, caller, **data)
    return {"assignments": list(Assignment.of(assessment).where(Assignment.id.in_(ids)))}


@blp.delete("/assignments/<id:assignment_id>")
@auth.required(ApiToken, scope="write")
@blp.response(200, RemovedAssignment)
@audit.record_change()
def remove_assignment(assignment_id):
    """Remove an assignment

    The session stays in the person's to-do list as one that is not assigned to them. No email is sent.
    """
    find(Assignment, assignment_id).set_once("removed_at")
    return {"ok": True, "id": assignment_id}
