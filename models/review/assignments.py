"""Assignments of sessions to reviewers."""

from typing import Any

import peewee

from models.base import TimestampField
from models.ledger.protection import ProtectedModel
from models.orgs import ApiToken, User
from models.sessions import Session


class Assignment(ProtectedModel):
    """A session that a user is to score, until `due_at` if it is set. `removed_at` ends it."""

    personal_data = None
    protected = ("session", "user", "assigned_by", "due_at", "removed_at", "created_at")
    parent = "session"
    session_link = ("session_id", "id")

    user_id: Any
    session = peewee.ForeignKeyField(Session)
    user = peewee.ForeignKeyField(User)
    assigned_by = peewee.ForeignKeyField(ApiToken)
    due_at = TimestampField(null=True)
    removed_at = TimestampField(null=True)
