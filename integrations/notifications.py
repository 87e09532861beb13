"""Notifications: queue the feed's events for chat channels, and send them.

A channel's first message goes out at once. Events that follow within INTERVAL become one message; above MAX_PER_HOUR,
those within an hour. A message is sent at least once.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import peewee

from delivery.webhooks import post
from integrations import secrets
from integrations.chat import chats
from integrations.orders import REASONS
from integrations.states import is_scored
from integrations.tables import Notification, NotificationChannel
from models import Assessment, CandidateKey, Feed, FeedEvent, clock, db
from models.database import release_connection
from models.orgs import Organization
from models.task_failures import run_each
from rules.delivery import retries
from rules.delivery.retries import WebhookResponse
from rules.plain_text import one_line

INTERVAL = timedelta(seconds=60)
MAX_PER_HOUR = 20
HOUR = timedelta(hours=1)
CLAIM = timedelta(minutes=1)
RETENTION = timedelta(days=30)
BATCH_SIZE = 200
MAX_LINKS = 10
MAX_TITLE_CHARACTERS = 100

# Text of one event, and of several.
TEXTS = {
    "submitted": ("Submission received", "submissions received"),
    "scored": ("Scored", "sessions scored"),
    "expired": ("Session closed before it was completed", "sessions closed before they were completed"),
    "attention": ("An order needs attention", "orders need attention"),
    "emailFailed": ("Invitation not delivered", "invitations not delivered"),
    "erasureRequested": ("Erasure requested", "erasure requests"),
}
EVENTS = tuple(TEXTS)
# By type of feed event. A session's reviewers can finish before it closes.
_EVENTS = {
    "session.completed": ("submitted", "scored"),
    "session.expired": ("expired", "scored"),
    "order.attention": ("attention",),
    "invite.failed": ("emailFailed",),
    "candidate.erasure_requested": ("erasureRequested",),
    "score.updated": ("scored",),
    "candidate.decided": ("scored",),
}


def create(organization: Organization, url: str, **values: Any) -> NotificationChannel:
    """Create a channel that gets the events from now on. Raises NoIntegrationKeys."""
    channel = NotificationChannel(organization=organization, position=_position(organization), **values)
    channel.url, channel.url_end = secrets.encrypt(channel.id, url), url[-4:]
    channel.save(force_insert=True)
    return channel


def update(
    channel: NotificationChannel, values: dict[str, Any], check: Callable[[], None]
) -> NotificationChannel:
    """Change a channel. `enabled` disables it, or enables it for the events from now on.

    check -- called after the row is locked
    """
    with db.atomic():
        channel = channel.lock()
        check()
        enabled, url = values.pop("enabled", None), values.pop("url", None)
        if url is not None:
            values |= {"url": secrets.encrypt(channel.id, url), "url_end": url[-4:], "held_until": None}
        if enabled is False:
            values["disabled_reason"] = channel.disabled_reason or "paused"
        elif enabled and channel.disabled_reason:
            values |= {
                "disabled_reason": None,
                "held_until": None,
                "position": _position(channel.organization_id),
            }
            Notification.delete().where(
                Notification.channel == channel, Notification.sent_at.is_null()
            ).execute()
        if changes := channel.changed_columns(values):
            channel.update_columns(updated_at=clock.now(), **changes)
    return channel


def delete(channel: NotificationChannel) -> None:
    """Delete a channel, its URL and its waiting notifications."""
    with db.atomic():
        channel.set_once("deleted_at", url="")
        Notification.delete().where(Notification.channel == channel).execute()


def _position(organization: Any) -> int:
    return Feed.select(Feed.position).where(Feed.organization == organization).scalar() or 0


def collect() -> int:
    """Queue the feed's new events. Returns how many were read."""
    channels = NotificationChannel.alive().where(NotificationChannel.disabled_reason.is_null())
    return run_each("notifications", channels, _collect)


def _collect(channel: NotificationChannel) -> int:
    query = FeedEvent.select().where(
        FeedEvent.organization == channel.organization_id, FeedEvent.position > channel.position
    )
    events = list(query.order_by(FeedEvent.position).limit(BATCH_SIZE))
    if not events:
        return 0
    named = [
        (event, name) for event in events for name in _EVENTS.get(event.type, ()) if name in channel.events
    ]
    rows = [row for event, name in named if (row := _notification(channel, event, name))]
    with db.atomic():
        # Another worker can have read the same events.
        is_first = (NotificationChannel.id == channel.id) & (NotificationChannel.position == channel.position)
        update = NotificationChannel.update(position=events[-1].position).where(is_first)
        if not update.execute():
            return 0
        for row in rows:
            Notification.insert(row).on_conflict_ignore().execute()
    return len(events)


def _notification(channel: NotificationChannel, event: FeedEvent, name: str) -> dict[str, Any] | None:
    """Build the row for a feed event under one of EVENTS, or None if the channel does not get it."""
    key = event.candidate_id and CandidateKey.get_or_none(CandidateKey.id == event.candidate_id)
    assessment_id = event.data.get("assessmentId") or (key and str(key.assessment_id))
    if channel.assessment_ids is not None and assessment_id not in channel.assessment_ids:
        return None
    if name == "scored" and not (key and is_scored(key)):
        return None
    session_id = event.data.get("sessionId")
    return {
        "channel": channel,
        "event": name,
        "subject_id": session_id if name == "scored" and session_id else event.id,
        "assessment": assessment_id,
        "key": key,
        "session_id": session_id,
        "reason": event.data.get("reason"),
    }


def send_due(settings: Mapping[str, Any]) -> int:
    """Send the channels' waiting notifications. Returns the number of messages."""
    waiting = Notification.select(Notification.channel).where(Notification.sent_at.is_null())
    channels = NotificationChannel.alive().where(
        NotificationChannel.disabled_reason.is_null(), NotificationChannel.id.in_(waiting)
    )
    return run_each("notifications.send", channels, lambda channel: _send_due(channel, settings))


def _send_due(channel: NotificationChannel, settings: Mapping[str, Any]) -> int:
    now = clock.now()
    if any(time and now < time for time in (channel.held_until, _due_at(channel, now))):
        return 0
    claimed = NotificationChannel.claimed_until
    is_free = (NotificationChannel.id == channel.id) & (claimed.is_null() | (claimed <= now))
    # Since the channel was loaded, a person can have changed it, and another worker can have sent a message or failed.
    is_free &= NotificationChannel.url == channel.url
    is_free &= NotificationChannel.disabled_reason.is_null() & NotificationChannel.deleted_at.is_null()
    is_free &= NotificationChannel.last_sent_at == channel.last_sent_at
    is_free &= NotificationChannel.held_until == channel.held_until
    if not NotificationChannel.update(claimed_until=now + CLAIM).where(is_free).execute():
        return 0
    rows = Notification.select(Notification, Assessment, CandidateKey).join(Assessment).switch(Notification)
    rows = rows.join(CandidateKey, peewee.JOIN.LEFT_OUTER)
    rows = rows.where(Notification.channel == channel, Notification.sent_at.is_null())
    notifications = list(rows.order_by(Notification.created_at, Notification.id))
    if not notifications:
        channel.update_columns(claimed_until=None)
        return 0
    message = compose(channel, notifications, settings["BASE_URL"])
    _record(channel, notifications, _post(channel, message, settings))
    return 1


def _due_at(channel: NotificationChannel, now: datetime) -> datetime | None:
    """Return when the channel's next message is due, None if it has sent none."""
    if channel.last_sent_at is None:
        return None
    is_recent = (Notification.channel == channel) & (Notification.sent_at > now - HOUR)
    sent = Notification.select(peewee.fn.COUNT(Notification.sent_at.distinct())).where(is_recent).scalar()
    return channel.last_sent_at + (INTERVAL if sent < MAX_PER_HOUR else HOUR)


def test(channel: NotificationChannel, settings: Mapping[str, Any]) -> WebhookResponse:
    """Send a test message at once, even to a disabled channel. Returns the response."""
    summary = f"{channel.name}: this channel gets notifications from Proofstone."
    response = _post(channel, chats()[channel.kind].compose(summary, []), settings)
    columns = {"last_error": response.error, "last_error_at": clock.now()} if response.error else {}
    channel.update_columns(**columns or {"last_error": None, "last_error_at": None, "held_until": None})
    return response


def _post(
    channel: NotificationChannel, message: dict[str, Any], settings: Mapping[str, Any]
) -> WebhookResponse:
    try:
        url = secrets.decrypt(channel.id, channel.url)
    except secrets.Undecryptable:
        return WebhookResponse(failure="No key in INTEGRATION_KEYS decrypts the channel's URL.")
    host = urlsplit(url).hostname or ""
    if origin := (settings["INTEGRATION_HOSTS"] or {}).get(host):
        url = origin + url.removeprefix(f"https://{host}")
    body = json.dumps(message, ensure_ascii=False).encode()
    release_connection()
    return post(url, {"User-Agent": "Proofstone/1"}, body, settings["WEBHOOK_ALLOWED_NETWORKS"] or ())


def _record(
    channel: NotificationChannel, notifications: list[Notification], response: WebhookResponse
) -> None:
    """Record the result: sent, dropped, to be sent again, or the end of the channel."""
    chat, now = chats()[channel.kind], clock.now()
    rows = Notification.id.in_([notification.id for notification in notifications])
    columns: dict[str, Any] = {"claimed_until": None}
    with db.atomic():
        if response.is_success:
            Notification.update(sent_at=now).where(rows).execute()
            old = (Notification.channel == channel) & (Notification.sent_at < now - RETENTION)
            Notification.delete().where(old).execute()
            columns |= {"last_sent_at": now, "held_until": None}
        else:
            columns |= {"last_error": response.error, "last_error_at": now}
            if chat.is_gone(response):
                # Not if a person has replaced the URL in the meantime.
                has_url = (NotificationChannel.id == channel.id) & (NotificationChannel.url == channel.url)
                NotificationChannel.update(disabled_reason="gone").where(has_url).execute()
            if chat.is_gone(response) or chat.is_final(response):
                Notification.delete().where(rows).execute()
            else:
                is_exhausted = Notification.attempts >= len(retries.RETRY_DELAYS)
                Notification.delete().where(rows, is_exhausted).execute()
                Notification.update(attempts=Notification.attempts + 1).where(rows).execute()
                delay = retries.retry_delay(notifications[0].attempts + 1) or retries.RETRY_DELAYS[-1]
                columns["held_until"] = now + max(delay, retries.parse_retry_after(response.retry_after, now))
        channel.update_columns(**columns)


def compose(channel: NotificationChannel, notifications: list[Notification], base_url: str) -> dict[str, Any]:
    """Build the message: one notification with a button, or counts with at most MAX_LINKS links."""
    links = [(_subject(channel, each), _url(each, base_url)) for each in notifications]
    if len(links) == 1:
        (notification,), ((subject, url),) = notifications, links
        detail = f": {REASONS[notification.reason][0]}" if notification.reason in REASONS else "."
        summary = f"{TEXTS[notification.event][0]}: {subject}{detail}"
        return chats()[channel.kind].compose(summary, [("Open", url)])
    counts = Counter(notification.event for notification in notifications)
    parts = [TEXTS[event][0] if n == 1 else f"{n} {TEXTS[event][1]}" for event, n in counts.items()]
    summary = f"{', '.join(parts)}."
    if len(links) > MAX_LINKS:
        summary += f" The first {MAX_LINKS} of {len(links)}:"
    return chats()[channel.kind].compose(summary, links[:MAX_LINKS])


def _subject(channel: NotificationChannel, notification: Notification) -> str:
    """Name the assessment and the candidate, without the name in a blind assessment."""
    key, assessment = notification.key, notification.assessment
    title = one_line(assessment.title, MAX_TITLE_CHARACTERS)
    if key is None:
        return title
    name = key.candidate_name if channel.include_names and not assessment.blind else None
    return f"{title}, {one_line(name, MAX_TITLE_CHARACTERS) if name else f'candidate {key.id.hex[-6:]}'}"


def _url(notification: Notification, base_url: str) -> str:
    if notification.event == "attention":
        path = "organization/integrations"
    elif notification.event == "erasureRequested":
        path = "todo"
    elif notification.session_id:
        path = f"sessions/{notification.session_id}"
    else:
        path = f"assessments/{notification.assessment_id}"
    return f"{base_url}/console#/{path}"
