"""Compare recordings of the same session from several channels."""

import json
from collections.abc import Iterator

from models import batches
from models.sessions import CountedEvents, Event, Session
from models.sessions.model_usage import ModelUsage
from rules.events.recorded_events import CHANNELS, CONTEXT
from rules.integrity import channel_comparison
from rules.integrity.channel_comparison import ComparedEvent, RewrittenMessages
from rules.integrity.findings import Finding


def differences(session: Session) -> list[Finding]:
    """Return findings about differences between a session's channels."""
    from_channels = Event.select().where(Event.session == session, Event.channel.is_null(False))
    if not from_channels.exists():
        return []
    requests = ModelUsage.select(ModelUsage.request_id).where(ModelUsage.session == session)
    proxied_ids = {row.request_id for row in requests.where(ModelUsage.request_id.is_null(False))}
    has_client = CountedEvents(session).has_client
    found = channel_comparison.differences(_compared_events(session), proxied_ids, has_client=has_client)
    return [*found, *_rewritten_messages(session).findings()]


def _rewritten_messages(session: Session) -> RewrittenMessages:
    rewritten = RewrittenMessages()
    for row in _proxied(session, [CONTEXT]):
        rewritten.add(row["event_id"], row["kind"], json.loads(row["envelope"])["data"])
    for row in _proxied(session, [CONTEXT, "ai_response", "tool_intent"]) if rewritten else ():
        rewritten.discard(row["kind"], json.loads(row["envelope"])["data"])
    return rewritten


def _proxied(session: Session, kinds: list[str]) -> Iterator[batches.Row]:
    """Yield the proxy's events of these kinds."""
    columns = (Event.event_id, Event.time_ns, Event.kind, Event.seq, Event.envelope)
    events = Event.select(*columns).where(Event.session == session, Event.kind.in_(kinds))
    events = events.where(Event.channel == CHANNELS[0])
    return batches.read_wide(events, [Event.time_ns, Event.seq], Event.size)


def _compared_events(session: Session) -> Iterator[ComparedEvent]:
    compared = (Event.channel.is_null(False) & (Event.kind != CONTEXT)) | (Event.kind == "prompt")
    columns = (Event.event_id, Event.time_ns, Event.channel, Event.seq, Event.envelope)
    events = Event.select(*columns).where(Event.session == session, compared)
    for row in batches.read_wide(events, [Event.time_ns, Event.seq], Event.size):
        envelope = json.loads(row.pop("envelope"))
        yield ComparedEvent.from_envelope(row["event_id"], row["time_ns"], row["channel"], envelope)
