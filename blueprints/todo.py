"""The caller's to-do lists."""

from access import auth, caller
from blueprints import Blueprint
from models import ApiToken
from models.todo import todo
from schemas.todo import Todo, TodoQuery

blp = Blueprint("To do", __name__, description="Pending work for reviewers.")


@blp.get("/todo")
@auth.required(ApiToken)
@blp.arguments(TodoQuery, location="query")
@blp.response(200, Todo)
def get_todo(query):
    """List the caller's pending work

    Sessions to score or discuss, failed messages, keys that expire soon, failed test runs and checks, and test runs
    that no runner takes; for admins also lost submissions, erasure requests and failing webhooks. Each list contains
    the number of entries and the oldest ones. It is null if the caller's scope or role does not allow the work.
    """
    return todo(caller, query["limit"])
