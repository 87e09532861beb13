"""Blind assessments: people see no name, address and key of a candidate whose criteria they have not all scored.

Services and the candidates themselves are not affected. Every response with a candidate's name or address passes
through one of these functions.
"""

from collections.abc import Iterable
from typing import Any

import peewee

from models import sql
from rules import candidate_keys
from rules.rows import row_id

MAX_IDS_PER_STATEMENT = 500
_HIDDEN_COLUMNS = {"candidate_name": None, "candidate_email": None}
_HIDDEN_CANDIDATE = _HIDDEN_COLUMNS | {"invite_last_error": None, "key": candidate_keys.MASKED}


def hidden_from(viewer: Any, key_ids: Iterable[Any]) -> set[Any]:
    """The candidates among these whose names are hidden from the caller."""
    person_id = getattr(viewer, "person_id", None)
    if person_id is None:
        return set()
    ids = set(key_ids) - {None}
    return {
        hidden for batch in peewee.chunked(ids, MAX_IDS_PER_STATEMENT) for hidden in _hidden(person_id, batch)
    }


def _hidden(person_id: Any, key_ids: list[Any]) -> Iterable[Any]:
    names, values = sql.in_list("key", [row_id(key_id) for key_id in key_ids])
    for (key_id,) in sql.rows(sql.HIDDEN_AMONG.format(key_ids=names), person_id=person_id, **values):
        yield row_id(key_id)


def hide_names(viewer: Any, rows: list[dict[str, Any]], id_name: str = "key_id") -> list[dict[str, Any]]:
    """Rows with `candidate_name` and `candidate_email`, which are None where they are hidden.

    id_name -- the column with the candidate's id
    """
    hidden = hidden_from(viewer, [row[id_name] for row in rows])
    return [row | _HIDDEN_COLUMNS if row_id(row[id_name]) in hidden else row for row in rows]


def hide_person(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a hidden candidate without name, address, and the mail server's error, which can quote the address."""
    errors = {"last_error": None} if "last_error" in row else {}
    return row | _HIDDEN_COLUMNS | errors


def hide_candidates(viewer: Any, rows: list[Any]) -> list[Any]:
    """The CandidateRows; a key, which would let its reader act as the candidate, is masked."""
    hidden = hidden_from(viewer, [row.id for row in rows])
    return [row._replace(**_HIDDEN_CANDIDATE) if row_id(row.id) in hidden else row for row in rows]


def hide_errors(viewer: Any, messages: list[Any]) -> list[Any]:
    """The messages to candidates, without a mail server's errors, which can quote the address."""
    hidden = hidden_from(viewer, [message.subject_id for message in messages])
    for message in messages:
        if message.subject_id in hidden:
            message.last_error = None
    return messages


def hide_bodies(viewer: Any, messages: list[Any]) -> list[Any]:
    """The messages to webhooks, without what they or the receiver's response say about the candidate."""
    hidden = hidden_from(viewer, [message.candidate_id for message in messages])
    for message in messages:
        if message.candidate_id in hidden:
            message.body, message.answer = message.impersonal_body, None
    return messages
