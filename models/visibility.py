"""Hide candidate identities and other reviewers' scores from callers who must not see them yet.

- In a blind assessment, a candidate's name, email address and key are hidden from a user until they have scored the
  session.
- Other reviewers' scores, and values derived from them, are hidden from a user whose role allows scoring until they
  have scored the session, it has a hiring decision, or they choose to see them (ScoreReveal, R49).

A user has scored a session once they have scored every criterion (CompletedScoring). Service accounts and candidates
are not affected. Every response with a candidate's name, email address or score must pass through this module.
"""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import peewee

from models import sql
from models.webhooks.tables import json_body
from rules import candidate_keys, roles
from rules.rows import row_id

MAX_IDS_PER_STATEMENT = 500
SCORE_EVENTS = frozenset({"score.updated", "score.withdrawn"})
_NO_IDENTITY = {"candidate_name": None, "candidate_email": None}


def hidden_candidates(viewer: Any, key_ids: Iterable[Any]) -> set[Any]:
    """Return the keys whose candidates' names are hidden from the caller."""
    user_id = getattr(viewer, "user_id", None)
    if user_id is None:
        return set()
    return _select_ids(sql.HIDDEN_KEYS, user_id, set(key_ids) - {None})


def hidden_scores(viewer: Any, session_ids: Iterable[Any]) -> set[Any]:
    """Return the sessions for which other reviewers' scores are hidden from the caller."""
    ids = set(session_ids) - {None}
    if not ids or not scores_independently(viewer):
        return set()
    return ids - _select_ids(sql.SESSIONS_WITH_VISIBLE_SCORES, viewer.user_id, ids)


def _select_ids(text: str, user_id: Any, ids: set[Any]) -> set[Any]:
    selected = set()
    for batch in peewee.chunked(ids, MAX_IDS_PER_STATEMENT):
        values = tuple(row_id(each) for each in batch)
        rows = sql.rows(text.format(ids=sql.any_of("ids", "uuid")), user_id=user_id, ids=values)
        selected |= {row_id(each) for (each,) in rows}
    return selected


def scores_independently(viewer: Any) -> bool:
    """Return whether the caller is a user whose role allows scoring."""
    return viewer.user_id is not None and roles.allows(viewer.user.role, "write")


def scores_visible(viewer: Any) -> peewee.SQL:
    """Build the condition that other reviewers' scores of session `s` of key `k` are visible to the caller."""
    if not scores_independently(viewer):
        return peewee.SQL("TRUE")
    return sql.node(sql.SCORES_VISIBLE, user_id=viewer.user_id)


def without_identity(row: dict[str, Any]) -> dict[str, Any]:
    """Remove name, email address, and the email server's error, which can quote the address."""
    return row | _NO_IDENTITY | ({"last_error": None} if "last_error" in row else {})


def redact_rows(viewer: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove hidden identities from rows with `key_id`."""
    hidden = hidden_candidates(viewer, [row["key_id"] for row in rows])
    return [without_identity(row) if row_id(row["key_id"]) in hidden else row for row in rows]


def redact_candidates(viewer: Any, rows: list[Any]) -> list[Any]:
    """Remove hidden identities from CandidateRows, and mask the key, which would allow impersonating the candidate."""
    hidden = hidden_candidates(viewer, [row.id for row in rows])
    redacted = _NO_IDENTITY | {"invite_last_error": None, "key": candidate_keys.MASKED}
    return [row._replace(**redacted) if row_id(row.id) in hidden else row for row in rows]


def redact_results(viewer: Any, rows: list[Any]) -> list[Any]:
    """Remove hidden names and scores from ResultRows."""
    hidden = hidden_candidates(viewer, [row.key.id for row in rows])
    unscored = hidden_scores(viewer, [row.session.id for row in rows])
    for row in rows:
        if row.key.id in hidden:
            row.key.candidate_name = row.key.candidate_email = None
    return [row.without_scores() if row.session.id in unscored else row for row in rows]


def redact_emails(viewer: Any, emails: list[Any]) -> list[Any]:
    """Remove email servers' errors, which can quote the address, from emails to hidden candidates."""
    hidden = hidden_candidates(viewer, [email.subject_id for email in emails])
    for email in emails:
        if email.subject_id in hidden:
            email.last_error = None
    return emails


def redact_events(viewer: Any, events: list[Any]) -> list[Any]:
    """Remove hidden score values from feed events."""
    sessions = {event.id: UUID(event.data["sessionId"]) for event in events if event.type in SCORE_EVENTS}
    hidden = hidden_scores(viewer, sessions.values())
    for event in events:
        if sessions.get(event.id) in hidden:
            event.data = event.data | {"value": None}
    return events


def redact_webhook_messages(viewer: Any, messages: list[Any]) -> list[Any]:
    """Remove hidden identities and scores from webhook messages and the receivers' responses."""
    hidden = hidden_candidates(viewer, [message.candidate_id for message in messages])
    for message in messages:
        if message.candidate_id in hidden:
            message.body, message.answer = message.body_without_personal_data, None
    payloads = {message.id: json.loads(message.body) for message in messages if message.type in SCORE_EVENTS}
    sessions = {message_id: UUID(payload["data"]["sessionId"]) for message_id, payload in payloads.items()}
    unscored = hidden_scores(viewer, sessions.values())
    for message in messages:
        if sessions.get(message.id) in unscored:
            payload = payloads[message.id]
            payload["data"]["value"] = None
            message.body, message.answer = json_body(payload), None
    return messages
