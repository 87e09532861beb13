"""The event feed: an alternative to webhooks for consumers that cannot accept inbound requests."""

from access import auth, caller, raises
from blueprints import Blueprint
from errors import CursorExpired
from models import ApiToken, read_feed, visibility
from schemas.feed import FeedPage, FeedQuery

blp = Blueprint("Feed", __name__, description="Webhook events, for polling.")


@blp.get("/events")
@auth.required(ApiToken)
@raises(CursorExpired)
@blp.arguments(FeedQuery, location="query")
@blp.response(200, FeedPage)
def list_events(query):
    """List events

    Events after a cursor, in publication order, which can differ from timestamp order. Each event appears exactly once,
    a few seconds after it happens, and is stored for 30 days. To receive only new events, send `from=now` once, then
    send each `next` as `after`.
    """
    starts_now = query["start"] == "now"
    feed = read_feed(caller, query.get("after"), query.get("types"), query["limit"], starts_now)
    return feed | {"events": visibility.redact_events(caller, feed["events"])}
