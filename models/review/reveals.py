"""Choices to see other reviewers' scores before scoring (R49)."""

from typing import Any

import peewee

from models.assessments import Assessment
from models.base import db
from models.ledger.protection import ProtectedModel
from models.orgs import User
from models.sessions import Session


class ScoreReveal(ProtectedModel):
    """A user's choice to see the team's scores of a session, or without a session, of the whole assessment."""

    personal_data = None
    protected = ("assessment", "session", "user", "created_at")
    parent = "assessment"
    session_link = ("session_id", "id")

    user_id: Any
    assessment = peewee.ForeignKeyField(Assessment, index=False)
    session: Any = peewee.ForeignKeyField(Session, null=True)
    user = peewee.ForeignKeyField(User)

    class Meta:
        indexes = ((("assessment", "user", "session"), True),)

    @property
    def key_id(self) -> Any:
        """The candidate whom the ledger's entry is about, if any."""
        return self.session and self.session.key_id

    @classmethod
    def record(cls, assessment: Assessment, user: User, session: Session | None = None) -> None:
        """Record the choice unless it is recorded already."""
        choice = {"assessment": assessment, "user": user, "session": session}
        with db.atomic():
            user.lock()  # for the unique index, nulls differ
            if cls.get_or_none(**choice) is None:
                cls.create(**choice)
