"""Choices to see other reviewers' scores before scoring (R49)."""

from typing import Any

import peewee

from models.assessments import Assessment
from models.ledger.protection import ProtectedModel
from models.orgs import User
from models.sessions import Session


class ScoreReveal(ProtectedModel):
    """A user's choice to see the team's scores of a session, or without a session, of the whole assessment."""

    personal_data = None
    protected = ("assessment", "session", "user", "created_at")
    parent = "assessment"

    user_id: Any
    assessment = peewee.ForeignKeyField(Assessment, index=False)
    session: Any = peewee.ForeignKeyField(Session, null=True)
    user = peewee.ForeignKeyField(User)

    class Meta:
        indexes = ((("assessment", "user", "session"), True),)
