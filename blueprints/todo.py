"""The caller's to-do lists."""

from access import auth, caller
from blueprints import Blueprint
from models import ApiToken
from models.todo import todo
from schemas.todo import Todo, TodoQuery

blp = Blueprint("To do", __name__, description="Work that is waiting for a reviewer.")


@blp.get("/todo")
@auth.required(ApiToken)
@blp.arguments(TodoQuery, location="query")
@blp.response(200, Todo)
def get_todo(query):
    """List what is waiting for the caller

    Sessions to score and to discuss, messages that failed, keys that expire soon; for admins also requests for erasure
    and failing webhooks. Each list has its oldest entries and the number of all. It is null if the caller's scope or
    role does not allow the work.
    """
    return todo(caller, query["limit"])
