"""Tokens of an organization's runners."""

from access import audit, auth, caller
from access.idempotency import idempotent
from blueprints import Blueprint, cursor_page, find
from models import ApiToken, RunnerToken
from schemas import runners as schemas
from schemas.queries import CursorPageQuery

blp = Blueprint("Runners", __name__, description="Tokens of the runners that test submissions.")


@blp.get("/org/runners")
@auth.required(ApiToken)
@blp.arguments(CursorPageQuery, location="query")
@blp.response(200, schemas.Runners)
def list_runners(query):
    """List runners

    The organization's tokens, oldest first, without their secrets, and how many runners are alive.
    """
    runners = cursor_page("runners", RunnerToken.visible_to(caller), query)
    return runners | {"alive": RunnerToken.alive(caller.organization_id).count()}


@blp.post("/org/runners")
@auth.required(ApiToken, scope="admin")
@idempotent
@blp.arguments(schemas.NewRunner)
@blp.response(201, schemas.CreatedRunner)
@audit.record_change(created="runner")
def create_runner(data):
    """Create a runner's token

    For a runner that tests this organization's submissions. It can do nothing else. The secret is returned only in this
    response.
    """
    runner, secret = RunnerToken.issue(caller.organization, data["name"])
    return {"runner": runner, "secret": secret}


@blp.delete("/org/runners/<id:runner_id>")
@auth.required(ApiToken, scope="admin")
@blp.response(200, schemas.RevokedRunner)
@audit.record_change()
def revoke_runner(runner_id):
    """Revoke a runner's token

    Its jobs run again elsewhere.
    """
    find(RunnerToken, runner_id).revoke()
    return {"ok": True, "id": runner_id}
