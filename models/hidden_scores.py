"""Independent scoring: people see others' scores of a session once they have scored every criterion themselves.

Services, and observers, who cannot score, see all scores. Every response with a score, or a value derived from several
reviewers' scores, passes through one of these functions.
"""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import peewee

from models.scores import CompletedScoring
from models.webhooks.tables import json_body
from rules import roles

MAX_IDS_PER_STATEMENT = 500
EVENT_TYPES = frozenset({"score.updated", "score.withdrawn"})


def scores_alone(viewer: Any) -> bool:
    """Return whether the caller is a person whose role allows scoring."""
    return viewer.person_id is not None and roles.allows(viewer.person.role, "write")


def hidden_from(viewer: Any, session_ids: Iterable[Any]) -> set[Any]:
    """The sessions among these whose scores are hidden from the caller."""
    ids = set(session_ids) - {None}
    if not ids or not scores_alone(viewer):
        return set()
    query = CompletedScoring.select(CompletedScoring.session).where(
        CompletedScoring.person == viewer.person_id
    )
    scored = {
        row.session_id
        for batch in peewee.chunked(ids, MAX_IDS_PER_STATEMENT)
        for row in query.where(CompletedScoring.session.in_(batch))
    }
    return ids - scored


def are_hidden_from(viewer: Any, session: Any) -> bool:
    """Return whether the others' scores of a session are hidden from the caller."""
    return bool(hidden_from(viewer, [session.id]))


def hide_events(viewer: Any, events: list[Any]) -> list[Any]:
    """The feed's events, without the values of hidden scores."""
    scored = [event for event in events if event.type in EVENT_TYPES]
    hidden = hidden_from(viewer, [UUID(event.data["sessionId"]) for event in scored])
    for event in scored:
        if UUID(event.data["sessionId"]) in hidden:
            event.data = event.data | {"value": None}
    return events


def hide_bodies(viewer: Any, messages: list[Any]) -> list[Any]:
    """The messages to webhooks, without the values of hidden scores and what the receiver answered to them."""
    payloads = {message.id: json.loads(message.body) for message in messages if message.type in EVENT_TYPES}
    sessions = {row_id: UUID(payload["data"]["sessionId"]) for row_id, payload in payloads.items()}
    hidden = hidden_from(viewer, sessions.values())
    for message in messages:
        if sessions.get(message.id) in hidden:
            payload = payloads[message.id]
            payload["data"]["value"] = None
            message.body, message.answer = json_body(payload), None
    return messages
