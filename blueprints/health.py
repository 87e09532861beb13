"""Whether the service is there, and whether it is ready."""

from flask import current_app
from marshmallow import fields

from access import rate_limits
from blueprints import Blueprint, refuses
from errors import NotReady
from ops.readiness import OK, Readiness
from schemas import Schema, described

blp = Blueprint("Health", __name__, description="Whether the service is there.")


class Health(Schema):
    """The service answers."""

    status = fields.String(metadata=described("Always `ok`.", "ok"))


class Parts(Schema):
    """The parts of the service."""

    database = fields.String(metadata=described("Whether the database answers.", OK))
    migrations = fields.String(metadata=described("Whether every migration was applied.", OK))
    storage = fields.String(metadata=described("Whether bundles can be stored.", OK))


class Ready(Schema):
    """The service is ready."""

    status = fields.String(metadata=described("Always `ready`.", "ready"))
    parts = fields.Nested(Parts, metadata=described("Each part; here all are `ok`."))


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
