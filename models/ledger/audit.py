"""The audit log: append-only, written with the change."""

from typing import Any, NamedTuple

import peewee

from models.base import Query
from models.fields import UUIDField
from models.ledger.listed import ListedModel
from models.orgs import ApiToken, Organization
from models.tasks.runner_tokens import RunnerToken


class Actor(NamedTuple):
    """The author of a change.

    `kind` is `person`, `apiToken` for a service account's token, `runner`, `integration` (all with id and name),
    `candidate` (with the key's id), `command`, `worker`, or `service` for rules that any process applies.
    """

    kind: str
    id: Any = None
    name: str | None = None

    @classmethod
    def of(cls, caller: Any) -> "Actor":
        if isinstance(caller, ApiToken):
            author = caller.author
            return cls("person" if caller.user_id else "apiToken", author.id, author.name)
        if isinstance(caller, RunnerToken):
            return cls("runner", caller.id, caller.name)
        return cls("candidate", caller.id)


COMMAND, WORKER, SERVICE = Actor("command"), Actor("worker"), Actor("service")


class AuditEntry(ListedModel):
    """A change, or a read of candidate data. Never contains a candidate's name or address.

    `subject_id` is the changed or created row, `further_ids` are other rows created with it. `body_fields` are the
    names of the request's fields. `came_from` is a reviewer's network address.
    """

    personal_data = None  # only ids, and names of users and service accounts
    signed = (
        *("id", "organization", "action", "actor_kind", "actor_id", "actor_name", "subject_kind"),
        *("subject_id", "further_ids", "body_fields", "came_from", "request_id", "created_at"),
    )

    organization = peewee.ForeignKeyField(Organization, index=False)
    action = peewee.TextField()
    actor_kind = peewee.TextField()
    actor_id = UUIDField(null=True)
    actor_name = peewee.TextField(null=True)
    subject_kind = peewee.TextField(null=True)
    subject_id = UUIDField(null=True)
    further_ids = peewee.JSONField(default=list)
    body_fields = peewee.JSONField(default=list)
    came_from = peewee.TextField(null=True)
    request_id = peewee.TextField(null=True)

    @classmethod
    def record(cls, organization_id: Any, action: str, actor: Actor, *subject: Any, **columns: Any) -> None:
        """Write an entry in the change's transaction; `subject` is the changed row's kind and id."""
        if subject:
            columns["subject_kind"], columns["subject_id"] = subject
        columns |= {f"actor_{name}": value for name, value in actor._asdict().items()}
        cls.create(organization=organization_id, action=action, **columns)

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        return cls.select().where(cls.organization == caller.organization_id)

    @classmethod
    def search(cls, caller: ApiToken, since: Any = None, until: Any = None, **columns: Any) -> Query:
        """Select the organization's entries from `since` until before `until`, with these column values."""
        entries = cls.visible_to(caller).where(
            *(getattr(cls, name) == value for name, value in columns.items())
        )
        if since is not None:
            entries = entries.where(cls.created_at >= since)
        return entries if until is None else entries.where(cls.created_at < until)
