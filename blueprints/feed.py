"""The feed: the events of webhooks, for those who cannot open a port."""

from access import auth
from access.auth import caller
from blueprints import Blueprint, refuses
from errors import CursorExpired
from models import ApiToken, read_feed
from schemas.feed import FeedPage, FeedQuery

blp = Blueprint("Feed", __name__, description="What happened: the events of webhooks, to be fetched.")


@blp.get("/events")
@auth.required(ApiToken)
@refuses(CursorExpired)
@blp.arguments(FeedQuery, location="query")
@blp.response(200, FeedPage)
def list_events(query):
    """List events

    What happened after a cursor, oldest first: each event once and none left out, whoever writes at the same time.
    Events come a moment after what they tell of, and are kept for 30 days.
    """
    return read_feed(caller, query.get("after"), query.get("types"), query["limit"])
