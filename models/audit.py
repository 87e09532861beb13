"""Who did what: an append-only log, written with the work and chained after it (rules/audit_chain.py)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import peewee

from models.assessments import CandidateKey
from models.base import BytesField, Model, Query, db, insert_rows, locked
from models.orgs import ApiToken, Organization
from rules import audit_chain
from rules.instants import text_of

ROWS_AT_A_TIME = 500


class Actor(NamedTuple):
    """Who does it: `reviewer` with the token's id and name, `candidate` with the key's id, `command`, `worker`, or the
    `service` itself, whose rules act whoever notices it."""

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
    """One change, or one reading of a candidate's record; never changed, and never a candidate's name or address.

    `subject_id` is what it was done to or what came of it, `further_ids` are the others that came of it; `members` are
    the members of the body that were given, without their values. `came_from` is a reviewer's network address.
    `position` and `hash` are the worker's.
    """

    organization_id: Any
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
        table_name = "audit_entries"
        indexes = (
            (("organization", "position"), True),
            (("organization", "created_at", "id"), False),
            (("organization", "subject_id"), False),
        )

    @classmethod
    def note(cls, organization_id: Any, action: str, actor: Actor, **facts: Any) -> None:
        """Write one row, in the transaction of the work that it tells of."""
        row = {
            "organization": organization_id,
            "action": action,
            "actor_kind": actor.kind,
            "actor_id": actor.id,
            "actor_name": actor.name,
        }
        insert_rows(cls, [row | facts])

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        return cls.select().where(cls.organization == caller.organization_id)

    def facts(self) -> dict[str, Any]:
        """What the hash covers."""
        ids = {
            name: _text(getattr(self, name)) for name in ("id", "organization_id", "actor_id", "subject_id")
        }
        texts = {name: getattr(self, name) for name in _COVERED}
        return ids | texts | {"created_at": text_of(self.created_at)}


_COVERED = (
    "action",
    "actor_kind",
    "actor_name",
    "subject_kind",
    "further_ids",
    "members",
    "came_from",
    "request_id",
)
# What the worker looks for.
AuditEntry.add_index(
    AuditEntry.index(
        AuditEntry.id,
        where=AuditEntry.position.is_null(),
        name="audit_entries_unchained",
    )
)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


class AuditChain(Model):
    """Where an organization's chain stands; held by whoever chains, so that no writer of the log waits for it."""

    organization = peewee.ForeignKeyField(Organization, unique=True)
    head = BytesField(null=True)
    count = peewee.BigIntegerField(default=0)

    class Meta:
        table_name = "audit_chains"


def chain_new() -> int:
    """Chain the rows that were committed since the last time; returns how many."""
    waiting = AuditEntry.select(AuditEntry.organization).where(AuditEntry.position.is_null()).distinct()
    rows: Any = waiting.tuples()
    return sum(_chain_all(organization_id) for (organization_id,) in list(rows))


def _chain_all(organization_id: Any) -> int:
    AuditChain.insert(organization=organization_id).on_conflict_ignore().execute()
    count = 0
    while chained := _chain_some(organization_id):
        count += chained
    return count


def _chain_some(organization_id: Any) -> int:
    with db.atomic():
        chain = locked(AuditChain.select().where(AuditChain.organization == organization_id)).get()
        rows = AuditEntry.select().where(
            AuditEntry.organization == organization_id, AuditEntry.position.is_null()
        )
        entries = list(rows.order_by(AuditEntry.created_at, AuditEntry.id).limit(ROWS_AT_A_TIME))
        head = chain.head or audit_chain.beginning(str(organization_id))
        for position, entry in enumerate(entries, chain.count + 1):
            head = audit_chain.link(head, position, entry.facts())
            AuditEntry.update(position=position, hash=head).where(AuditEntry.id == entry.id).execute()
        if entries:
            moved = {"head": head, "count": chain.count + len(entries)}
            AuditChain.update(moved).where(AuditChain.id == chain.id).execute()
    return len(entries)


class Verdict(NamedTuple):
    """How an organization's log stands: how many rows are chained, how many wait, and the first broken place with
    the id of its row, where it is still there."""

    chained: int
    waiting: int
    broken: audit_chain.Break | None
    entry_id: Any


def verify(organization: Organization) -> Verdict:
    """Check the log of an organization from its first row on, also while it grows."""
    own = AuditEntry.select().where(AuditEntry.organization == organization)
    # Read before the chain's head, which moves with it: no row may lie beyond, and what is chained while this looks
    # is left for the next time.
    last = own.select(peewee.fn.MAX(AuditEntry.position)).scalar() or 0
    chain = AuditChain.get_or_none(AuditChain.organization == organization)
    head, count = (chain.head, chain.count) if chain else (None, 0)
    links = _links(own.where(AuditEntry.position <= max(last, count)))
    broken = audit_chain.first_break(str(organization.id), links, head, count)
    there = broken and own.where(AuditEntry.position == broken.position).get_or_none()
    waiting = own.where(AuditEntry.position.is_null()).count()
    return Verdict(count, waiting, broken, there and there.id)


def _links(own: Query) -> Iterator[audit_chain.Link]:
    query = own.where(AuditEntry.position.is_null(False)).order_by(AuditEntry.position).limit(ROWS_AT_A_TIME)
    rows = list(query)
    while rows:
        for row in rows:
            yield audit_chain.Link(row.position, row.facts(), row.hash)
        rows = list(query.where(AuditEntry.position > rows[-1].position))


def note_erasure(key: CandidateKey, actor: Actor) -> None:
    """That the retention took a candidate's data away."""
    AuditEntry.note(key.organization_id, "eraseCandidate", actor, subject_kind="candidate", subject_id=key.id)


__all__ = [
    "COMMAND",
    "SERVICE",
    "WORKER",
    "Actor",
    "AuditChain",
    "AuditEntry",
    "chain_new",
    "note_erasure",
    "verify",
]
