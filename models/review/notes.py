"""The team's notes on a session."""

from typing import Any

import peewee

from models.base import ErasedWithSession, Model, PersonalData
from models.orgs import ApiToken
from models.sessions import Session


class Note(Model, ErasedWithSession):
    """A note on a session. Only the team sees it."""

    personal_data = PersonalData("notes", None)

    author_id: Any
    session = peewee.ForeignKeyField(Session, index=False)
    author = peewee.ForeignKeyField(ApiToken)
    text = peewee.TextField()

    class Meta:
        indexes = ((("session", "id"), False),)
