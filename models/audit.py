"""The audit log: append-only, written with the change, chained by the worker (rules/audit_chain.py)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import peewee

from models import batches
from models.base import BytesField, Model, Query, add_index, db
from models.numbering import Sequence, number_all, require_change
from models.orgs import ApiToken, Organization
from rules import audit_chain
from rules.timestamps import format_timestamp

BATCH_SIZE = 500


class Actor(NamedTuple):
    """The author of a change.

    `kind` is `reviewer` (with the token's id and name), `candidate` (with the key's id), `command`, `worker`, or
    `service` for rules that apply whichever process notices.
    """

    kind: str
    id: Any = None
    name: str | None = None

    @classmethod
    def of(cls, caller: Any) -> "Actor":
        if isinstance(caller, ApiToken):
            return cls("reviewer", caller.id, caller.name)
        return cls("candidate", caller.id)


COMMAND, WORKER, SERVICE = Actor("command"), Actor("worker"), Actor("service")


class AuditEntry(Model):
    """One change, or one reading of a candidate's record; without names and addresses of candidates.

    `subject_id` is the changed or created row, `further_ids` are other rows created with it. `members` are the names
    of the request's members. `came_from` is a reviewer's network address. The worker sets `position` and `hash`.
    """

    organization = peewee.ForeignKeyField(Organization, index=False)
    action = peewee.TextField()
    actor_kind = peewee.TextField()
    actor_id = peewee.UUIDField(null=True)
    actor_name = peewee.TextField(null=True)
    subject_kind = peewee.TextField(null=True)
    subject_id = peewee.UUIDField(null=True)
    further_ids = peewee.JSONField(default=list)
    members = peewee.JSONField(default=list)
    came_from = peewee.TextField(null=True)
    request_id = peewee.TextField(null=True)
    position = peewee.BigIntegerField(null=True)
    hash = BytesField(null=True)

    class Meta:
        indexes = (
            (("organization", "position"), True),
            (("organization", "created_at", "id"), False),
            (("organization", "subject_id"), False),
        )

    @classmethod
    def record(cls, organization_id: Any, action: str, actor: Actor, *subject: Any, **columns: Any) -> None:
        """Write one entry, in the transaction of the change; `subject` is the changed row's kind and id."""
        if subject:
            columns["subject_kind"], columns["subject_id"] = subject
        columns |= {f"actor_{name}": value for name, value in actor._asdict().items()}
        cls.create(organization=organization_id, action=action, **columns)

    @classmethod
    def unchained(cls) -> Query:
        return cls.select().where(cls.position.is_null())

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        return cls.select().where(cls.organization == caller.organization_id)

    @classmethod
    def search(cls, caller: ApiToken, since: Any = None, until: Any = None, **columns: Any) -> Query:
        """The organization's entries from `since` until before `until`, with these values of columns."""
        entries = cls.visible_to(caller).where(
            *(getattr(cls, name) == value for name, value in columns.items())
        )
        if since is not None:
            entries = entries.where(cls.created_at >= since)
        return entries if until is None else entries.where(cls.created_at < until)

    def hashed_columns(self) -> dict[str, Any]:
        """The columns that the hash covers, as text."""
        ids = {name: getattr(self, name) for name in ("id", "organization_id", "actor_id", "subject_id")}
        columns = {name: value and str(value) for name, value in ids.items()}
        columns |= {name: getattr(self, name) for name in _HASHED_TEXTS_AND_LISTS}
        return columns | {"created_at": format_timestamp(self.created_at)}


_HASHED_TEXTS_AND_LISTS = (
    *("action", "actor_kind", "actor_name", "subject_kind"),
    *("further_ids", "members", "came_from", "request_id"),
)
add_index("audit_entries_unchained", AuditEntry.id, where=AuditEntry.position.is_null())


class AuditChain(Sequence):
    """The head of an organization's chain and the number of its entries."""

    head = BytesField(null=True)
    count = peewee.BigIntegerField(default=0)


def chain_new() -> int:
    """Chain the entries committed since the last run; returns how many."""
    return number_all("chain", AuditEntry.unchained().select(AuditEntry.organization), _chain_batch)


def _chain_batch(organization_id: Any) -> int:
    with db.atomic():
        chain = AuditChain.locked_for(organization_id)
        waiting = AuditEntry.unchained().where(AuditEntry.organization == organization_id)
        entries = list(waiting.order_by(AuditEntry.created_at, AuditEntry.id).limit(BATCH_SIZE))
        head = chain.head or audit_chain.initial_hash(str(organization_id))
        for position, entry in enumerate(entries, chain.count + 1):
            head = audit_chain.next_hash(head, position, entry.hashed_columns())
            require_change(entry, entry.update_columns(position=position, hash=head))
        if entries:
            count = chain.count + len(entries)
            require_change(chain, chain.update_columns(head=head, count=count))
    return len(entries)


class Verdict(NamedTuple):
    """The state of a log: the numbers of chained and waiting entries, the first break and its entry's id."""

    chained: int
    waiting: int
    broken: audit_chain.Break | None
    entry_id: Any


def verify(organization: Organization) -> Verdict:
    """Check an organization's log from its first entry, even while it grows."""
    entries = AuditEntry.select().where(AuditEntry.organization == organization)
    # Read before the chain's head: entries chained after this are left for the next check.
    last = entries.select(peewee.fn.MAX(AuditEntry.position)).scalar() or 0
    chain = AuditChain.get_or_none(AuditChain.organization == organization)
    head, count = (chain.head, chain.count) if chain else (None, 0)
    links = _links(entries.where(AuditEntry.position <= max(last, count)))
    broken = audit_chain.find_break(str(organization.id), links, head, count)
    entry = broken and entries.where(AuditEntry.position == broken.position).get_or_none()
    waiting = entries.where(AuditEntry.position.is_null()).count()
    return Verdict(count, waiting, broken, entry and entry.id)


def _links(entries: Query) -> Iterator[audit_chain.ChainedEntry]:
    chained = entries.where(AuditEntry.position.is_null(False))
    for entry in batches.read_all(chained, AuditEntry.position):
        yield audit_chain.ChainedEntry(entry.position, entry.hashed_columns(), entry.hash)


def record_erasure(key: Any, actor: Actor) -> None:
    """Record that retention erased a candidate's data."""
    AuditEntry.record(key.organization_id, "eraseCandidate", actor, "candidate", key.id)
