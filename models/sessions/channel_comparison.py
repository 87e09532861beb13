"""Compare recordings of the same session from several channels."""

import json
from collections.abc import Iterator

from models import batches
from models.sessions import CountedEvents, Event, Session
from models.sessions.model_usage import ModelUsage
from rules.integrity import channel_comparison
from rules.integrity.channel_comparison import ComparedEvent
from rules.integrity.findings import Finding


def differences(session: Session) -> list[Finding]:
    """Return findings about differences between a session's channels."""
    from_channels = Event.select().where(Event.session == session, Event.channel.is_null(False))
    if not from_channels.exists():
        return []
    requests = ModelUsage.select(ModelUsage.request_id).where(ModelUsage.session == session)
    proxied_ids = {row.request_id for row in requests.where(ModelUsage.request_id.is_null(False))}
    has_client = CountedEvents(session).has_client
    return list(channel_comparison.differences(_compared_events(session), proxied_ids, has_client=has_client))


def _compared_events(session: Session) -> Iterator[ComparedEvent]:
    compared = Event.channel.is_null(False) | (Event.kind == "prompt")
    columns = (Event.event_id, Event.time_ns, Event.channel, Event.seq, Event.envelope)
    events = Event.select(*columns).where(Event.session == session, compared)
    for row in batches.read_wide(events, [Event.time_ns, Event.seq], Event.size):
        envelope = json.loads(row.pop("envelope"))
        yield ComparedEvent.from_envelope(row["event_id"], row["time_ns"], row["channel"], envelope)
