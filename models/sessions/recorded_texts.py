"""Keys of a session's recorded texts: each text is stored once (R46)."""

from collections.abc import Collection

import peewee

from models.base import ErasedWithSession, PersonalData, Table, TimestampField, clock
from models.fields import TextField
from models.sessions.session import Session

MAX_KEYS = 5_000  # per statement


class RecordedText(Table, ErasedWithSession):
    """The key of a text that is stored in one of the session's events."""

    personal_data = PersonalData(
        "recordedTexts", "Hashes of the texts in the model proxy's events, so that each text is stored once."
    )

    session = peewee.ForeignKeyField(Session, index=False)
    text_key = TextField()
    created_at = TimestampField(default=clock.now)

    class Meta:
        primary_key = peewee.CompositeKey("session", "text_key")

    @classmethod
    def unknown(cls, session: Session, keys: Collection[str]) -> set[str]:
        """Return the keys of texts that are not stored yet."""
        known: set[str] = set()
        for batch in peewee.chunked(keys, MAX_KEYS):
            rows = cls.select(cls.text_key).where(cls.session == session, cls.text_key.in_(list(batch)))
            known.update(row.text_key for row in rows)
        return set(keys) - known

    @classmethod
    def add(cls, session: Session, keys: Collection[str]) -> None:
        for batch in peewee.chunked(sorted(keys), MAX_KEYS):
            rows = [{"session": session, "text_key": key} for key in batch]
            cls.insert_many(rows).on_conflict_ignore().execute()
