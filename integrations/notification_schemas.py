"""Chat channels that get an organization's events."""

from integrations.chat import chats
from integrations.notifications import EVENTS
from schemas.base import Body, Deleted, PageOf, Schema, define_response, define_schema
from schemas.fields import Choice, Flag, Id, Line, ListOf, Pattern, String
from schemas.timestamps import Timestamp

DEFAULT_EVENTS = ["submitted", "attention"]
KINDS = sorted(chats())
EXAMPLE_URL = "https://hooks.slack.com/services/T000/B000/XXXX"
MAX_ASSESSMENTS = 200
REASONS = ("paused", "gone")

_HOSTS = [host for chat in chats().values() for host in chat.HOSTS]
URL = (
    f"https://({'|'.join(_HOSTS).replace('.', '[.]')})/[!-~]{{1,2000}}",
    f"Must be a URL that starts with {' or '.join(f'https://{host}/' for host in _HOSTS)}.",
)
_ASSESSMENT_IDS = ListOf(
    Id(), "Assessments whose events are sent; null for all.", max=MAX_ASSESSMENTS, example=[], null=True
)


class NewChannel(Body):
    """A new channel."""

    kind = Choice(KINDS, "Chat system.", load_default=KINDS[0], example="slack")
    name = Line(255, "Name.", example="#hiring", required=True)
    url = Pattern(*URL, "Incoming webhook URL. It is the credential.", example=EXAMPLE_URL, required=True)
    assessment_ids = _ASSESSMENT_IDS
    events = ListOf(
        Choice(EVENTS), "Events.", min=1, max=len(EVENTS), load_default=DEFAULT_EVENTS, example=DEFAULT_EVENTS
    )
    include_names = Flag(
        "True if messages name candidates; never in blind assessments.", load_default=False, example=False
    )


class ChannelUpdate(Body):
    """Changes to a channel."""

    is_update = True

    name = Line(255, "Name.", example="#hiring")
    url = Pattern(*URL, "New incoming webhook URL.", example=EXAMPLE_URL)
    assessment_ids = _ASSESSMENT_IDS
    events = ListOf(Choice(EVENTS), "Events.", min=1, max=len(EVENTS), example=DEFAULT_EVENTS)
    include_names = Flag("True if messages name candidates; never in blind assessments.", example=False)
    enabled = Flag("False stops messages; true starts them, also after `gone`.", example=True)


class Channel(Schema):
    """A channel, without its URL."""

    id = Id("Unique id.")
    kind = Choice(KINDS, "Chat system.", example="slack")
    name = String("Name.", example="#hiring")
    url_end = String("Last 4 characters of the URL.", example="XXXX")
    assessment_ids = ListOf(
        Id("Assessment id."), "Assessments whose events are sent; null for all.", null=True
    )
    events = ListOf(Choice(EVENTS), "Events.", example=DEFAULT_EVENTS)
    include_names = Flag("True if messages name candidates; never in blind assessments.", example=False)
    enabled = Flag("True if messages are sent.", attribute="is_enabled", example=True)
    disabled_reason = Choice(
        REASONS, "`paused` by a person. `gone`: the chat system no longer accepts the URL.", null=True
    )
    last_sent_at = Timestamp("Time of the last message.", null=True)
    last_error = String(
        "Error of the last failed attempt.", example="The receiver responded with 500.", null=True
    )
    last_error_at = Timestamp("Time of the last failed attempt.", null=True)
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time of the last change.")


class ChannelTest(Schema):
    """The result of a test message."""

    ok = Flag("True if the chat system accepted the message.", example=True)
    error = String("Error.", example="The receiver responded with 404.", null=True)


ChannelResponse = define_response("channel", Channel, "The channel.")
Channels = define_schema("Channels", "Channels, oldest first.", PageOf, channels=ListOf(Channel, "Channels."))
DeletedChannel = define_schema("DeletedChannel", "The channel is deleted.", Deleted)
