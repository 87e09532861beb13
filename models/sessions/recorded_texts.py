"""Hashes of the texts in a session's events, so that each text is stored once (R46)."""

import uuid
from collections.abc import Collection
from typing import Any

import peewee

from models.base import ErasedWithSession, Model, PersonalData
from models.sessions.session import Session

MAX_KEYS = 5_000  # per statement


class RecordedText(Model, ErasedWithSession):
    """A text in one of the session's events. Its id is a hash of session and text."""

    personal_data = PersonalData(
        "recordedTexts", "Hashes of the texts in the model proxy's events, so that each text is stored once."
    )

    session = peewee.ForeignKeyField(Session)

    @classmethod
    def unknown(cls, session: Session, keys: Collection[str]) -> set[str]:
        """Return the keys of texts that are not stored yet."""
        ids = {uuid.uuid5(session.id, key): key for key in keys}
        for batch in peewee.chunked(list(ids), MAX_KEYS):
            stored: Any = cls.select(cls.id).where(cls.id.in_(batch)).tuples()
            for (stored_id,) in stored:
                del ids[stored_id]
        return set(ids.values())

    @classmethod
    def add(cls, session: Session, keys: Collection[str]) -> None:
        for batch in peewee.chunked(sorted(keys), MAX_KEYS):
            rows = [{"id": uuid.uuid5(session.id, key), "session": session} for key in batch]
            cls.insert_many(rows).on_conflict_ignore().execute()
