"""The append-only audit log, chained by the worker (rules/integrity/audit_chain.py)."""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import peewee

from errors import UnknownSealKey
from models import batches, sql
from models.base import BytesField, Model, Query, TimestampField, add_index, db, for_update
from models.ledger import seal_keys
from models.numbering import Sequence, number_all, require_change
from models.orgs import ApiToken, Organization
from rules.integrity import audit_chain
from rules.timestamps import format_timestamp

BATCH_SIZE = 500

log = logging.getLogger("proofstone.worker")


class Actor(NamedTuple):
    """The author of a change.

    `kind` is `person`, `apiToken` for a service account's token (both with id and name), `candidate` (with the key's
    id), `command`, `worker`, or `service` for rules that any process applies.
    """

    kind: str
    id: Any = None
    name: str | None = None

    @classmethod
    def of(cls, caller: Any) -> "Actor":
        if isinstance(caller, ApiToken):
            author = caller.author
            return cls("person" if caller.user_id else "apiToken", author.id, author.name)
        return cls("candidate", caller.id)


COMMAND, WORKER, SERVICE = Actor("command"), Actor("worker"), Actor("service")


class AuditEntry(Model):
    """A change, or a read of candidate data. Never contains a candidate's name or address.

    `subject_id` is the changed or created row, `further_ids` are other rows created with it. `body_fields` are the
    names of the request's fields. `came_from` is a reviewer's network address. `recorded_mac` covers the entry
    until the worker chains it and sets `position`, `key_id` and `hash`.
    """

    personal_data = None  # only ids, and names of users and service accounts
    organization = peewee.ForeignKeyField(Organization, index=False)
    action = peewee.TextField()
    actor_kind = peewee.TextField()
    actor_id = peewee.UUIDField(null=True)
    actor_name = peewee.TextField(null=True)
    subject_kind = peewee.TextField(null=True)
    subject_id = peewee.UUIDField(null=True)
    further_ids = peewee.JSONField(default=list)
    body_fields = peewee.JSONField(default=list)
    came_from = peewee.TextField(null=True)
    request_id = peewee.TextField(null=True)
    recorded_key_id = peewee.TextField(null=True)
    recorded_mac = BytesField(null=True)
    position = peewee.BigIntegerField(null=True)
    key_id = peewee.TextField(null=True)
    hash = BytesField(null=True)

    class Meta:
        indexes = (
            (("organization", "position"), True),
            (("organization", "created_at", "id"), False),
            (("organization", "subject_id"), False),
        )

    @classmethod
    def record(cls, organization_id: Any, action: str, actor: Actor, *subject: Any, **columns: Any) -> None:
        """Write an entry in the change's transaction; `subject` is the changed row's kind and id."""
        if subject:
            columns["subject_kind"], columns["subject_id"] = subject
        columns |= {f"actor_{name}": value for name, value in actor._asdict().items()}
        cls.create(organization=organization_id, action=action, **columns)

    @classmethod
    def signed(cls, **columns: Any) -> Self:
        """Build an entry with its MAC, without writing it."""
        entry = cls(**columns)
        entry.recorded_key_id, entry.recorded_mac = seal_keys.sign(*entry._recorded_fields)
        return entry

    @classmethod
    def create(cls, **columns: Any) -> Self:
        """Write a signed entry."""
        entry = cls.signed(**columns)
        entry.save(force_insert=True)
        return entry

    @classmethod
    def unchained(cls) -> Query:
        return cls.select().where(cls.position.is_null())

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

    def hashed_columns(self) -> dict[str, Any]:
        """Return the columns that the hash covers, as text."""
        ids = {name: getattr(self, name) for name in ("id", "organization_id", "actor_id", "subject_id")}
        columns = {name: value and str(value) for name, value in ids.items()}
        columns |= {name: getattr(self, name) for name in _HASHED_TEXTS_AND_LISTS}
        return columns | {"created_at": format_timestamp(self.created_at)}

    @property
    def _recorded_fields(self) -> tuple[str, ...]:
        return audit_chain.ENTRY_VERSION, audit_chain.content_text(self.hashed_columns())

    @property
    def is_recorded(self) -> bool | None:
        """True if the service recorded this entry with a key; None if its key is unknown.

        An entry chained with a known key cannot have been recorded with an unknown one.
        """
        verdict = seal_keys.is_signed(self.recorded_key_id, self.recorded_mac, *self._recorded_fields)
        return False if verdict is None and self.key_id in seal_keys.known() else verdict


_HASHED_TEXTS_AND_LISTS = (
    *("action", "actor_kind", "actor_name", "subject_kind"),
    *("further_ids", "body_fields", "came_from", "request_id"),
)
add_index("audit_entries_unchained", AuditEntry.id, where=AuditEntry.position.is_null())


class AuditChain(Sequence):
    """An organization's signed row: its audit log's head, and its numbers of sealed events and final seals.

    The numbers only grow, which reveals a session restored to an earlier state. The row is created with the
    organization and never again: a missing row is a break. The `anchored` columns describe the last published head.
    """

    personal_data = None
    head = BytesField(null=True)
    count = peewee.BigIntegerField(default=0)
    final_seals = peewee.BigIntegerField(default=0)
    sealed_events = peewee.BigIntegerField(default=0)
    key_id = peewee.TextField(null=True)
    mac = BytesField(null=True)
    anchored_count = peewee.BigIntegerField(default=0)
    anchored_events = peewee.BigIntegerField(default=0)
    anchored_at = TimestampField(null=True)

    @classmethod
    def open(cls, organization: Organization) -> None:
        """Create the row of a new organization."""
        chain = cls(organization=organization)
        # Before the first key is adopted, a signed row would hide that the others are not signed yet.
        if cls.is_keyed() or not cls.select().exists():
            chain.key_id, chain.mac = seal_keys.sign(*chain._signed_fields)
        chain.save(force_insert=True)

    @classmethod
    def is_keyed(cls) -> bool:
        """Return whether the installation has adopted the configured keys, so an unsigned row is a break."""
        return bool(seal_keys.known()) and bool(sql.rows(sql.IS_KEYED))

    @classmethod
    def awaits_adoption(cls) -> bool:
        """Return whether the first seal keys are not adopted yet (models/ledger/seals.py)."""
        return bool(seal_keys.known()) and not cls.is_keyed() and cls.select().exists()

    @classmethod
    def locked(cls, organization_id: Any) -> "AuditChain | None":
        return for_update(cls.select().where(cls.organization == organization_id)).get_or_none()

    @classmethod
    def add(cls, organization_id: Any, **counts: int) -> None:
        """Add to an organization's numbers in the seals' transaction. Raises UnknownSealKey."""
        # The change must succeed without the row. `flask seals verify` reports a missing row.
        if chain := cls.locked(organization_id):
            chain.change(**{name: getattr(chain, name) + count for name, count in counts.items()})

    @property
    def _signed_fields(self) -> tuple[str, ...]:
        head = self.head.hex() if self.head else ""
        counts = (str(self.count), str(self.final_seals), str(self.sealed_events))
        return "PROOFSTONE-ORGANIZATION-V1", str(self.organization_id), head, *counts

    @property
    def is_intact(self) -> bool | None:
        """True if the MAC matches; None if its key is unknown."""
        return seal_keys.is_signed(self.key_id, self.mac, *self._signed_fields)

    def change(self, **columns: Any) -> None:
        """Change the locked row, and sign it again if its MAC matched. Raises UnknownSealKey."""
        is_intact = self.is_intact
        if is_intact is None:
            raise UnknownSealKey()
        for name, value in columns.items():
            setattr(self, name, value)
        if is_intact:
            columns |= dict(zip(("key_id", "mac"), seal_keys.sign(*self._signed_fields), strict=True))
        self.update_columns(**columns)

    def adopt(self) -> None:
        """Sign the row for the first time."""
        key_id, mac = seal_keys.sign(*self._signed_fields)
        self.update_columns(key_id=key_id, mac=mac)


class ChainMissing(RuntimeError):
    """The organization's row was deleted. Creating it again would cover up the deletion."""


def chain_new() -> int:
    """Chain the entries committed since the last run; return how many."""
    return number_all("chain", AuditEntry.unchained().select(AuditEntry.organization), _chain_batch)


def _chain_batch(organization_id: Any) -> int:
    with db.atomic():
        chain = AuditChain.locked(organization_id)
        if chain is None:
            raise ChainMissing(f"The audit chain of organization {organization_id} was deleted.")
        waiting = AuditEntry.unchained().where(AuditEntry.organization == organization_id)
        entries = list(waiting.order_by(AuditEntry.created_at, AuditEntry.id).limit(BATCH_SIZE))
        head = chain.head or audit_chain.initial_hash(str(organization_id))
        key_id, secret = (None, None) if AuditChain.awaits_adoption() else seal_keys.signing()
        for position, entry in enumerate(entries, chain.count + 1):
            if key_id and entry.is_recorded is False:
                log.error("Audit entry %s was inserted or altered outside the service.", entry.id)
            head = audit_chain.next_hash(head, position, entry.hashed_columns(), secret)
            columns = {"position": position, "key_id": key_id, "hash": head}
            # SQLite can contain a copy of the entry with a malformed id.
            is_waiting = (AuditEntry.id == entry.id) & AuditEntry.position.is_null()
            require_change(entry, AuditEntry.update(**columns).where(is_waiting).execute())
        if entries:
            chain.change(head=head, count=chain.count + len(entries))
    return len(entries)


class Verdict(NamedTuple):
    """The state of an audit log.

    chained, waiting -- the numbers of entries with and without a position
    broken -- the first break
    entry_id -- its entry's id
    unknown -- the number of rows that cannot be verified, because their key is not in SEAL_KEYS
    unrecorded -- the ids of entries inserted or altered outside the service
    """

    chained: int
    waiting: int
    broken: audit_chain.Break | None
    entry_id: Any
    unknown: int
    unrecorded: list[Any]

    @property
    def is_intact(self) -> bool:
        return not (self.broken or self.unknown or self.unrecorded)


def verify(organization: Organization) -> Verdict:
    """Check an organization's log from its first entry."""
    entries = AuditEntry.select().where(AuditEntry.organization == organization)
    # Read before the chain's head, because the worker may be chaining entries.
    last = entries.select(peewee.fn.MAX(AuditEntry.position)).scalar() or 0
    chain = AuditChain.get_or_none(AuditChain.organization == organization)
    waiting = entries.where(AuditEntry.position.is_null())
    unrecorded = []
    if AuditChain.is_keyed():
        entries_waiting = batches.read_all(waiting, AuditEntry.id)
        unrecorded = [entry.id for entry in entries_waiting if entry.is_recorded is False]
    if chain is None:
        missing = audit_chain.Break(0, "chain row missing")
        return Verdict(last, waiting.count(), missing, None, 0, unrecorded)
    links = _links(entries.where(AuditEntry.position <= max(last, chain.count)), unrecorded)
    broken = _find_break(chain, links)
    entry = broken and entries.where(AuditEntry.position == broken.position).get_or_none()
    known = list(seal_keys.known())
    has_unknown_key = AuditEntry.key_id.is_null(False) & AuditEntry.key_id.not_in(known)
    has_unknown_key |= AuditEntry.recorded_key_id.is_null(False) & AuditEntry.recorded_key_id.not_in(known)
    unknown = entries.where(has_unknown_key).count() + (chain.is_intact is None)
    return Verdict(chain.count, waiting.count(), broken, entry and entry.id, unknown, unrecorded)


def _find_break(chain: AuditChain, links: Iterator[audit_chain.ChainedEntry]) -> audit_chain.Break | None:
    organization_id, keys = str(chain.organization_id), seal_keys.known()
    broken = audit_chain.find_break(
        organization_id, links, chain.head, chain.count, keys=keys, key_id=chain.key_id
    )
    is_signed = chain.key_id is not None or AuditChain.is_keyed()
    if broken is None and is_signed and chain.is_intact is False:
        return audit_chain.Break(chain.count, "count or head not signed by the service")
    return broken


def _links(entries: Query, unrecorded: list[Any]) -> Iterator[audit_chain.ChainedEntry]:
    """Yield the chained entries; append the ids of unrecorded ones to `unrecorded`."""
    chained = entries.where(AuditEntry.position.is_null(False))
    for entry in batches.read_all(chained, AuditEntry.position):
        # Before the first key is adopted, entries are chained without one.
        if entry.key_id is not None and entry.is_recorded is False:
            unrecorded.append(entry.id)
        yield audit_chain.ChainedEntry(entry.position, entry.hashed_columns(), entry.hash, entry.key_id)
