"""Scoring rubrics."""

from access import audit, auth, caller, etags, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find, page, with_location
from errors import RubricInUse
from models import ApiToken, Rubric
from schemas.queries import PageQuery
from schemas.rubrics import DeletedRubric, NewRubric, RubricResponse, Rubrics, RubricUpdate

blp = Blueprint("Rubrics", __name__, description="Criteria by which reviewers score sessions.")


@blp.get("/rubrics")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, Rubrics)
def list_rubrics(query):
    """List rubrics

    The organization's rubrics, oldest first.
    """
    return page("rubrics", Rubric.visible_to(caller), query)


@blp.post("/rubrics")
@auth.required(ApiToken, scope="write")
@with_location
@idempotent
@blp.arguments(NewRubric)
@blp.response(201, RubricResponse)
@audit.record_change(created="rubric")
def create_rubric(data):
    """Create a rubric

    The rubric starts at version 1. To use it, set an assessment's `rubricId`.
    """
    return {"rubric": Rubric.create_with_version(caller.organization, **data)}


@blp.get("/rubrics/<id:rubric_id>")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, RubricResponse)
def get_rubric(rubric_id):
    """Get a rubric

    Returns the current version.
    """
    return {"rubric": find(Rubric, rubric_id)}


@blp.patch("/rubrics/<id:rubric_id>")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@blp.arguments(RubricUpdate)
@blp.response(200, RubricResponse)
@audit.record_change()
def update_rubric(data, rubric_id):
    """Update a rubric

    Saves a new version, unless nothing changes. Existing scores keep their version.
    """
    check = etags.precondition(lambda: RubricResponse().dump({"rubric": find(Rubric, rubric_id)}))
    return {"rubric": find(Rubric, rubric_id).apply_changes(data, check)}


@blp.delete("/rubrics/<id:rubric_id>")
@auth.required(ApiToken, scope="write")
@raises(RubricInUse)
@blp.response(200, DeletedRubric)
@audit.record_change()
def delete_rubric(rubric_id):
    """Delete a rubric

    Rejected while assessments use it. The error lists them.
    """
    find(Rubric, rubric_id).soft_delete()
    return {"ok": True, "id": rubric_id}
