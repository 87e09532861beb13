"""Health and readiness of the service."""

from flask import current_app

from access import raises, rate_limits
from blueprints import Blueprint
from errors import NotReady
from ops.readiness import OK, Readiness
from schemas.base import Schema
from schemas.fields import Choice, Nested, String
from schemas.queries import Filter, QueryInteger

blp = Blueprint("Health", __name__, description="Health and readiness of the service.")


class Health(Schema):
    """The service is up."""

    status = Choice(["ok"], "Always `ok`.", example="ok")


class Components(Schema):
    """Status of each component."""

    database = String("Database.", example=OK)
    migrations = String("Migrations.", example=OK)
    storage = String("Bundle store.", example=OK)
    worker = String("Worker and its tasks. Included only with `deep=1`.", example=OK, optional=True)


class ReadyQuery(Filter):
    """Options for the readiness check."""

    deep = QueryInteger("1 to also check the worker.", min=0, max=1, load_default=0)


class Ready(Schema):
    """The service is ready."""

    status = Choice(["ready"], "Always `ready`.", example="ready")
    parts = Nested(Components, "Status of each component; always `ok` in a 200 response.")


@blp.record_once
def _create_readiness(state):
    state.app.extensions["readiness"] = Readiness(state.app.extensions["storage"])


@blp.get("/health")
@rate_limits.limit(None)
@blp.response(200, Health)
def get_health():
    """Check the service's health

    Does not query the database.
    """
    return {"status": "ok"}


@blp.get("/ready")
@rate_limits.limit(None)
@raises(NotReady)
@blp.arguments(ReadyQuery, location="query")
@blp.response(200, Ready)
def get_readiness(query):
    """Check the service's readiness

    Load balancers and platforms can poll this every few seconds. Checks that the database responds, all migrations are
    applied, and bundles can be stored. If a check fails, returns 503 with the status of each component. `deep=1` also
    checks the worker; use it only for monitoring, because the service keeps serving requests without a worker.
    """
    parts = current_app.extensions["readiness"].check(deep=query["deep"] == 1)
    if set(parts.values()) != {OK}:
        raise NotReady(parts=parts)
    return {"status": "ready", "parts": parts}
