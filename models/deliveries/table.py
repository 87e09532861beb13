"""The deliveries table and its queries."""

from datetime import datetime
from typing import Any

import peewee

from models import sql
from models.base import Model, PersonalData, Query, TimestampField, add_index, clock
from models.leases import Leased
from models.orgs import ApiToken, Organization

INVITATION, REMINDER, REMOVAL = "invitation", "reminder", "removal"
TO_USERS = PERSON_INVITATION, SIGN_IN, ASSIGNMENT = "person_invitation", "sign_in", "assignment"


class Delivery(Leased, Model):
    """A message to a candidate or user, or a removal.

    The kind of a message is `invitation`, `reminder`, `person_invitation`, `sign_in` or `assignment`, and `address` is
    a mailbox. Its state is `queued`, then `sent`, `saved` (as a file), `failed` or `canceled`, or `suppressed`
    (models/deliveries/limit.py). A `removal` deletes an object from the bundle store, or a saved email; its final state
    is `done`. `subject_id` is the id of the candidate key or user, or of an object's session.
    """

    personal_data = PersonalData("messages", "Invitations and reminders sent to you.")
    due_lanes, lane_column = sql.DUE_DELIVERIES, "organization"

    organization = peewee.ForeignKeyField(Organization, index=False)
    kind = peewee.TextField()
    subject_id = peewee.UUIDField(index=True)
    data = peewee.JSONField()
    state = peewee.TextField(default="queued")
    attempts = peewee.IntegerField(default=0)
    due_at = TimestampField(default=clock.now)
    last_error = peewee.TextField(null=True)
    sent_at = TimestampField(null=True)
    address = peewee.TextField(null=True)

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        """Select messages to the organization's candidates."""
        is_to_candidate = cls.kind.in_((INVITATION, REMINDER))
        return cls.select().where(cls.organization == caller.organization_id, is_to_candidate)

    @classmethod
    def personal_rows(cls, key: Any, session: Any = None) -> Query:
        """Select messages to a candidate."""
        return cls.select().where(cls.subject_id == key.id, cls.kind != REMOVAL)

    @classmethod
    def erase_personal_data(cls, key: Any, session: Any) -> int:
        """Cancel queued messages, clear personal data, and queue the removal of saved emails."""
        messages = list(cls.personal_rows(key))
        for message in messages:
            message.remove_saved_email()
        personal_rows = cls.id.in_([message.id for message in messages])
        cls.update(state="canceled").where(personal_rows, cls.state == "queued").execute()
        return cls.update(data={}, last_error=None, address=None).where(personal_rows).execute()

    @classmethod
    def erase_user(cls, user_id: Any) -> None:
        """Cancel a deleted user's queued messages, and remove their email address and saved emails."""
        belongs_to_user = (cls.subject_id == user_id) & cls.kind.in_(TO_USERS)
        for message in cls.select().where(belongs_to_user):
            message.remove_saved_email()
        cls.update(state="canceled").where(belongs_to_user, cls.state == "queued").execute()
        cls.update(last_error=None, address=None).where(belongs_to_user).execute()

    def remove_saved_email(self) -> None:
        """Queue the removal of the message's file, if there can be one."""
        # A worker can save a claimed message until its lease expires, even if a bounce or cancellation followed.
        due_at = clock.now() if self.state == "saved" else max(self.due_at, clock.now())
        if self.attempts and self.state not in ("sent", "suppressed"):
            removal = {"kind": REMOVAL, "data": {"email": str(self.id)}, "due_at": due_at}
            Delivery.create(organization=self.organization_id, subject_id=self.subject_id, **removal)

    @property
    def next_try_at(self) -> datetime | None:
        return self.due_at if self.state == "queued" else None


# For claims and for reviewers' lists.
_is_queued = Delivery.state == "queued"
add_index("deliveries_queued", Delivery.organization, Delivery.due_at, Delivery.id, where=_is_queued)
add_index("deliveries_of", Delivery.organization, Delivery.state, Delivery.id)
add_index("deliveries_in_order", Delivery.organization, Delivery.created_at, Delivery.id)
# For models/deliveries/limit.py.
add_index("deliveries_to", Delivery.address, Delivery.due_at)
