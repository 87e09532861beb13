"""Scoring rubrics."""

from access import audit, auth
from access.auth import caller
from access.idempotency import idempotent
from blueprints import Blueprint, find, page, refuses
from errors import RubricInUse
from models import ApiToken, Rubric
from schemas.queries import PageQuery
from schemas.rubrics import DeletedRubric, NewRubric, OneRubric, RubricChange, Rubrics

blp = Blueprint("Rubrics", __name__, description="What reviewers score sessions by.")


@blp.get("/rubrics")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, Rubrics)
def list_rubrics(query):
    """List rubrics

    A page of the organization's rubrics, oldest first.
    """
    rows = Rubric.visible_to(caller).order_by(Rubric.created_at, Rubric.id)
    return page("rubrics", rows, query["limit"], query["offset"])


@blp.post("/rubrics")
@auth.required(ApiToken, scope="write")
@idempotent
@blp.arguments(NewRubric)
@blp.response(201, OneRubric)
@audit.change(created="rubric")
def create_rubric(data):
    """Create a rubric

    It begins as version 1. Assessments name it by its id.
    """
    return {"rubric": Rubric.draft(caller.organization, **data)}


@blp.get("/rubrics/<id:rubric_id>")
@auth.required(ApiToken)
@blp.response(200, OneRubric)
def get_rubric(rubric_id):
    """Get a rubric

    In its current version.
    """
    return {"rubric": find(Rubric, rubric_id)}


@blp.patch("/rubrics/<id:rubric_id>")
@auth.required(ApiToken, scope="write")
@blp.arguments(RubricChange)
@blp.response(200, OneRubric)
@audit.change()
def change_rubric(data, rubric_id):
    """Change a rubric

    The change becomes the next version. What was scored with an earlier one stays as it was.
    """
    return {"rubric": find(Rubric, rubric_id).change(data)}


@blp.delete("/rubrics/<id:rubric_id>")
@auth.required(ApiToken, scope="write")
@refuses(RubricInUse)
@blp.response(200, DeletedRubric)
@audit.change()
def delete_rubric(rubric_id):
    """Delete a rubric

    Refused while assessments refer to it; the answer names them.
    """
    find(Rubric, rubric_id).delete_softly()
    return {"ok": True, "id": rubric_id}
