"""Whether the service is there."""

from marshmallow import fields

from blueprints import Blueprint
from rate_limits import counts_under
from schemas import Schema, described

blp = Blueprint("Health", __name__, description="Whether the service is there.")


class Health(Schema):
    """The service answers."""

    status = fields.String(metadata=described("Always `ok`.", "ok"))


@blp.get("/health")
@counts_under(None)
@blp.response(200, Health)
def health():
    """Check that the service answers

    Asks no database.
    """
    return {"status": "ok"}
