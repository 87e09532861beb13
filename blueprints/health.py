"""Whether the service is there, and whether it is ready."""

from flask import current_app

from access import rate_limits
from blueprints import Blueprint, refuses
from errors import NotReady
from ops.readiness import OK, Readiness
from schemas.base import Schema
from schemas.fields import Nested, String

blp = Blueprint("Health", __name__, description="Whether the service is there.")


class Health(Schema):
    """The service answers."""

    status = String("Always `ok`.", example="ok")


class Parts(Schema):
    """The parts of the service."""

    database = String("Whether the database answers.", example=OK)
    migrations = String("Whether every migration was applied.", example=OK)
    storage = String("Whether bundles can be stored.", example=OK)


class Ready(Schema):
    """The service is ready."""

    status = String("Always `ready`.", example="ready")
    parts = Nested(Parts, "Each part; here all are `ok`.")


@blp.record_once
def _connect(state):
    state.app.extensions["readiness"] = Readiness(state.app.extensions["storage"])


@blp.get("/health")
@rate_limits.limit(None)
@blp.response(200, Health)
def health():
    """Check that the service answers

    Asks no database.
    """
    return {"status": "ok"}


@blp.get("/ready")
@rate_limits.limit(None)
@refuses(NotReady)
@blp.response(200, Ready)
def ready():
    """Check that the service is ready

    For a load balancer or a platform, every few seconds: the database answers, its schema is the one that this
    version wants, and bundles of code can be stored. 503 otherwise, with the part that is not `ok`.
    """
    parts = current_app.extensions["readiness"].parts()
    if set(parts.values()) != {OK}:
        raise NotReady(parts=parts)
    return {"status": "ready", "parts": parts}
