"""Notifications: chat channels that get an organization's events."""

from flask import current_app

from access import audit, auth, caller, etags, raises, rate_limits
from access.idempotency import before_transaction, idempotent
from blueprints import Blueprint, find, page, with_location
from errors import invalid
from integrations import notification_schemas as schemas
from integrations import notifications
from integrations.errors import NoIntegrationKeys
from integrations.tables import NotificationChannel
from models import ApiToken, Assessment
from schemas.queries import PageQuery

blp = Blueprint("Notifications", __name__, description="Chat channels for submissions and problems.")


def _send_test(channel_id):
    channel = find(NotificationChannel, channel_id)
    rate_limits.count(rate_limits.WEBHOOK_TESTS, channel.id)
    response = notifications.test(channel, current_app.config)
    return {"ok": response.is_success, "error": response.error}


@blp.get("/notifications")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, schemas.Channels)
def list_channels(query):
    """List chat channels

    Oldest first, without their URLs.
    """
    return page("channels", NotificationChannel.visible_to(caller), query)


@blp.post("/notifications")
@auth.required(ApiToken, scope="admin")
@with_location
@idempotent
@raises(NoIntegrationKeys)
@blp.arguments(schemas.NewChannel)
@blp.response(201, schemas.ChannelResponse)
@audit.record_change(created="channel")
def create_channel(data):
    """Create a chat channel

    Messages contain the assessment's title, the candidate's id (or name, with `includeNames`), and a link. They contain
    no scores, no findings, and nothing that a candidate wrote. The first message is sent at once. Events within the
    next 60 seconds become one message; above 20 messages an hour, one message an hour is sent.
    """
    return {"channel": notifications.create(caller.organization, **_with_known_assessments(data))}


@blp.get("/notifications/<id:channel_id>")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.ChannelResponse)
def get_channel(channel_id):
    """Get a chat channel

    Includes the last error.
    """
    return {"channel": find(NotificationChannel, channel_id)}


@blp.patch("/notifications/<id:channel_id>")
@auth.required(ApiToken, scope="admin")
@etags.with_if_match
@blp.arguments(schemas.ChannelUpdate)
@blp.response(200, schemas.ChannelResponse)
@audit.record_change()
def update_channel(data, channel_id):
    """Update a chat channel

    A channel that is enabled again gets the events from that time on.
    """
    check = etags.precondition(
        lambda: schemas.ChannelResponse().dump({"channel": find(NotificationChannel, channel_id)})
    )
    channel = find(NotificationChannel, channel_id)
    return {"channel": notifications.update(channel, _with_known_assessments(data), check)}


@blp.delete("/notifications/<id:channel_id>")
@auth.required(ApiToken, scope="admin")
@blp.response(200, schemas.DeletedChannel)
@audit.record_change()
def delete_channel(channel_id):
    """Delete a chat channel

    Waiting messages are not sent.
    """
    notifications.delete(find(NotificationChannel, channel_id))
    return {"ok": True, "id": channel_id}


@blp.post("/notifications/<id:channel_id>/test")
@auth.required(ApiToken, scope="admin")
@before_transaction(_send_test)
@idempotent
@blp.response(200, schemas.ChannelTest)
@audit.record_change()
def test_channel(channel_id, prepared):
    """Test a chat channel

    Sends a message at once, also to a disabled channel. Each channel is limited to 10 tests per minute.
    """
    return prepared


def _with_known_assessments(data):
    """Check the assessments' ids. Raises Invalid."""
    ids = data.get("assessment_ids")
    if ids is None:
        return data
    known = {row.id for row in Assessment.visible_to(caller).where(Assessment.id.in_(ids))}
    for number, assessment_id in enumerate(ids):
        if assessment_id not in known:
            raise invalid(["assessmentIds", number], "No such assessment in your organization.")
    return data | {"assessment_ids": [str(assessment_id) for assessment_id in ids]}
