"""The team's notes on a session."""

from typing import Any

import peewee

from errors import InsufficientRole
from models.base import ErasedWithSession, Model, PersonalData, Query, db
from models.orgs import ApiToken, User
from models.sessions import Session
from rules import roles


class Note(Model, ErasedWithSession):
    """A note on a session. Only the team sees it."""

    personal_data = PersonalData("notes", None)

    author_id: Any
    session = peewee.ForeignKeyField(Session, index=False)
    author = peewee.ForeignKeyField(ApiToken)
    text = peewee.TextField()

    @classmethod
    def of(cls, session: Session) -> Query:
        """Select a session's notes with their authors, oldest first."""
        query = cls.select(cls, ApiToken, User).join(ApiToken).join(User, peewee.JOIN.LEFT_OUTER)
        return query.where(cls.session == session).order_by(cls.created_at, cls.id)

    @classmethod
    def add(cls, session: Session, author: ApiToken, text: str) -> "Note":
        """Add a note. Raises Erased."""
        with db.atomic():
            session.lock_unless_erased()
            return cls.create(session=session, author=author, text=text)

    def delete_as(self, actor: ApiToken) -> None:
        """Delete the note. Raises InsufficientRole unless the actor is its author or an admin."""
        if actor.author.id != self.author.author.id and not roles.allows(actor.role, "admin"):
            raise InsufficientRole("Only its author and admins can delete a note.")
        self.delete_instance()
