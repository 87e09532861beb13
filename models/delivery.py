"""The outbox: messages to the outside world, written with the work that they tell of and delivered after it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import peewee

from errors import NotFailed
from models.base import Model, Query, TimestampField, clock, db
from models.feed import FeedEvent
from models.leases import LEASE, Leased
from models.orgs import ApiToken, Organization
from rules.deliveries import pause_after

INVITATION, REMINDER, REMOVAL = "invitation", "reminder", "removal"
ROWS_AT_A_TIME = 500
# What an invitation's end is called outside.
TOLD = {"sent": "invite.sent", "saved": "invite.sent", "failed": "invite.failed"}


class Delivery(Leased, Model):
    """One message to one recipient.

    `state` is `queued` until it is `sent`, `saved` (as a file), `failed` or `canceled`. The subject (a candidate's
    key) is named by its plain id. `attempts` counts the claims, so that one that kills its worker counts too. Kinds
    are `invitation` and `reminder`; of the kind `removal` is an object that has to go from the store, or a saved mail
    from its folder, and then it is `done`.
    """

    organization_id: Any
    organization = peewee.ForeignKeyField(Organization)
    kind = peewee.TextField()
    subject_id = peewee.UUIDField(index=True)
    data = peewee.JSONField()
    state = peewee.TextField(default="queued")
    attempts = peewee.IntegerField(default=0)
    due_at = TimestampField(default=clock.now)
    last_error = peewee.TextField(null=True)
    sent_at = TimestampField(null=True)

    class Meta:
        table_name = "deliveries"

    @classmethod
    def enqueue_invitations(
        cls, organization: Organization, invitations: Iterable[tuple[Any, Any]], org_name: str
    ) -> None:
        """Queue one invitation for each (delivery id, key id), in the transaction that issues the keys."""
        rows = [{"id": delivery_id, "subject_id": key_id} for delivery_id, key_id in invitations]
        shared = _to_candidate(INVITATION, organization.id, org_name)
        if rows:
            cls.insert_many([row | shared for row in rows]).execute()

    @classmethod
    def enqueue_reminder(cls, organization: Organization, key_id: Any) -> None:
        """Queue a reminder, in the transaction that notes that there is one."""
        same = _to_candidate(REMINDER, organization.id, organization.shown_name)
        cls.create(subject_id=key_id, **same)

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        """The messages to the organization's candidates."""
        return cls.select().where(
            cls.organization == caller.organization_id, cls.kind.in_((INVITATION, REMINDER))
        )

    @classmethod
    def to_candidate(cls, key: Any) -> Query:
        return cls.select().where(cls.subject_id == key.id, cls.kind.in_((INVITATION, REMINDER)))

    @classmethod
    def replace_waiting(cls, key: Any) -> None:
        """Cancel the invitations that wait, in the transaction that queues a newer one: nobody needs two."""
        waiting = (cls.subject_id == key.id) & (cls.kind == INVITATION) & (cls.state == "queued")
        cls.update(state="canceled", last_error="A newer invitation was sent.").where(waiting).execute()

    @classmethod
    def mark_bounced(cls, delivery_ids: list[Any], words: str) -> None:
        """These did not arrive, whatever the server said when it took them."""
        taken = cls.id.in_(delivery_ids) & (cls.state != "canceled")
        cls.update(state="failed", last_error=words).where(taken).execute()

    def retry(self) -> "Delivery":
        """Send again what failed, with all of its attempts; NotFailed otherwise."""
        # Its id stays, by which a receiver can tell a repeat.
        again = {"state": "queued", "attempts": 0, "due_at": clock.now()}
        failed = (Delivery.id == self.id) & (Delivery.state == "failed")
        if not Delivery.update(again).where(failed).execute():
            raise NotFailed()
        return Delivery.get_by_id(self.id)

    @property
    def next_try_at(self) -> datetime | None:
        return self.due_at if self.state == "queued" else None

    @classmethod
    def enqueue_removals(
        cls, organization_id: Any, subject_id: Any, objects: Iterable[tuple[str, datetime]]
    ) -> None:
        """Queue that objects go from the store, in the transaction that lets go of them.

        Each may come into being until its moment: it goes now, and again then.
        """
        now = clock.now()
        rows = [
            _removal(organization_id, subject_id, {"objectKey": object_key}, due_at)
            for object_key, until in objects
            for due_at in {now, max(now, until)}
        ]
        for batch in peewee.chunked(rows, ROWS_AT_A_TIME):
            cls.insert_many(batch).execute()

    @classmethod
    def requeue_removals(cls) -> int:
        """Try again what could not be removed in all of its attempts: a removal is never given up."""
        failed = (cls.kind == REMOVAL) & (cls.state == "failed")
        return cls.update(state="queued", attempts=0, due_at=clock.now()).where(failed).execute()

    @classmethod
    def of_person(cls, key: Any, session: Any) -> Query:
        """The messages to a candidate, or about the session."""
        subjects = [key.id, session.id] if session else [key.id]
        return cls.select().where(cls.subject_id.in_(subjects), cls.kind != REMOVAL)

    @classmethod
    def erase_of(cls, key: Any, session: Any) -> int:
        """Cancel what waits, take away what a server said, and let saved mails go from their folder."""
        messages = list(cls.of_person(key, session))
        for message in messages:
            message._remove_saved()
        ids = [message.id for message in messages]
        waiting = (cls.id.in_(ids)) & (cls.state == "queued")
        cls.update(state="canceled").where(waiting).execute()
        return cls.update(data={}, last_error=None).where(cls.id.in_(ids)).execute()

    def _remove_saved(self) -> None:
        # One in hand of a worker may be saved at any moment until its lease is over.
        due_at = {"saved": clock.now(), "queued": self.due_at}.get(self.state)
        if due_at and self.attempts:
            row = _removal(self.organization_id, self.subject_id, {"mail": str(self.id)}, due_at)
            Delivery.insert(row).execute()

    @classmethod
    def bring_forward(cls) -> None:
        """After the clock was set back: what is new is due now, and what is leased or pauses after a lease's time at
        most, which is never too early for who still has it in hand."""
        now = clock.now()
        waits, is_new = cls.state == "queued", (cls.attempts == 0) & (cls.kind != REMOVAL)
        cls.update(due_at=now).where(waits, is_new, cls.due_at > now).execute()
        # A removal that was never tried waits until nobody can upload any more, which this clock decides.
        cls.update(due_at=now + LEASE).where(waits, cls.attempts > 0, cls.due_at > now + LEASE).execute()

    def succeed(self, state: str) -> None:
        """It is out: `sent`, or `saved` as a file; or `done`."""
        self._finish(state, last_error=None, sent_at=clock.now() if state == "sent" else None)

    def fail(self, words: str) -> None:
        """It was refused for good, with the server's last words."""
        self._finish("failed", last_error=words)

    def cancel(self, reason: str) -> None:
        """It must not go out any more."""
        self._finish("canceled", last_error=reason)

    def postpone(self, words: str) -> None:
        """It could not be delivered now: again after a growing pause, until it is time to give up."""
        pause = pause_after(self.attempts)
        if pause is None:
            self.fail(words)
        else:
            self._finish("queued", last_error=words, due_at=clock.now() + pause)

    def _finish(self, state: str, **changes: Any) -> None:
        finish = Delivery.update(state=state, **changes).where(self.is_mine())
        with db.atomic():
            if finish.execute() and self.kind == INVITATION and state in TOLD:
                self._tell(state)

    def _tell(self, state: str) -> None:
        data = {"candidateId": self.subject_id, "inviteId": self.id, "state": state}
        FeedEvent.publish(self.organization_id, TOLD[state], data)


def _to_candidate(kind: str, organization_id: Any, org_name: str) -> dict[str, Any]:
    return {"kind": kind, "organization": organization_id, "data": {"orgName": org_name}}


def _removal(
    organization_id: Any, subject_id: Any, data: dict[str, str], due_at: datetime | None
) -> dict[str, Any]:
    return {
        "organization": organization_id,
        "kind": REMOVAL,
        "subject_id": subject_id,
        "data": data,
        "due_at": due_at or clock.now(),
    }


Delivery.add_index(
    Delivery.index(Delivery.due_at, Delivery.id, where=(Delivery.state == "queued"), name="deliveries_due")
)
# What reviewers look through.
Delivery.add_index(Delivery.index(Delivery.organization, Delivery.state, Delivery.id, name="deliveries_of"))
