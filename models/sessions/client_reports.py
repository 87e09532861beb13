"""Client reports about the machine and the workspace (docs/candidate-client.md, 3.6, 3.7 and 3.17)."""

from typing import Any

import peewee

from errors import SessionClosed
from models.base import ErasedWithSession, Model, PersonalData, clock, db
from models.sessions import Session
from rules import session_close

# Reports do not count towards SESSION_MAX_BYTES.
MAX_REPORTS = 100  # per kind


class ClientReport(Model, ErasedWithSession):
    """A client's report about its machine or workspace, as received.

    `kind` is `workspace_commit`, `device_start`, `device_done` or `hosted_boot`.
    """

    personal_data = PersonalData("clientReports", "Your client's reports about your computer and workspace.")

    session = peewee.ForeignKeyField(Session)
    kind = peewee.TextField()
    data = peewee.JSONField()

    @classmethod
    def record(cls, session: Session, kind: str, data: dict[str, Any]) -> None:
        """Store a report, unless the session has MAX_REPORTS of this kind.

        Raises SessionClosed more than 24 hours after the close (R4, R18).
        """
        now = clock.now()
        with db.atomic():
            session = session.lock_unless_erased()
            if session_close.intake_window(now, session.closed_as_of(now)) == "over":
                raise SessionClosed()
            if cls.select().where(cls.session == session, cls.kind == kind).count() < MAX_REPORTS:
                cls.create(session=session, kind=kind, data=data)
