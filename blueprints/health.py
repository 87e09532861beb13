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
    """The service responds."""

    status = Choice(["ok"], "Always `ok`.", example="ok")


class Parts(Schema):
    """Parts of the service."""

    database = String("State of the database.", example=OK)
    migrations = String("State of the migrations.", example=OK)
    storage = String("State of the bundle store.", example=OK)
    worker = String("With `deep=1`: whether a worker runs all its tasks.", example=OK, optional=True)


class ReadyQuery(Filter):
    """The parts to check."""

    deep = QueryInteger("1 to also check the worker.", min=0, max=1, load_default=0)


class Ready(Schema):
    """The service is ready."""

    status = Choice(["ready"], "Always `ready`.", example="ready")
    parts = Nested(Parts, "Each part; here all are `ok`.")


@blp.record_once
def _create_readiness(state):
    state.app.extensions["readiness"] = Readiness(state.app.extensions["storage"])


@blp.get("/health")
@rate_limits.limit(None)
@blp.response(200, Health)
def get_health():
    """Check the service's health

    Responds without a query to the database.
    """
    return {"status": "ok"}


@blp.get("/ready")
@rate_limits.limit(None)
@raises(NotReady)
@blp.arguments(ReadyQuery, location="query")
@blp.response(200, Ready)
def get_readiness(query):
    """Check the service's readiness

    For a load balancer or a platform, every few seconds. Checks that the database responds, that all migrations have
    been applied, and that bundles can be stored. Otherwise 503, with the state of each part. `deep=1` also checks the
    worker. Use it for monitoring only: without a worker, the service still responds to requests.
    """
    parts = current_app.extensions["readiness"].parts(deep=query["deep"] == 1)
    if set(parts.values()) != {OK}:
        raise NotReady(parts=parts)
    return {"status": "ready", "parts": parts}
