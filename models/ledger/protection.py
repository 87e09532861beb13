"""Protected tables: each change of a row writes the row and its ledger entry in one transaction."""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, Self

import peewee

from errors import NotFound, UnknownLedgerKey
from models import sql
from models.base import BytesField, Model, Query, Table, clock, db, is_postgres, new_id
from models.fields import BigIntegerField, IntegerField, TextField, UUIDField
from models.ledger import keys
from rules.ledger import entries
from rules.ledger.entries import DELETED, EPOCH, ERASURE, KEY, PURGE, Entry

SALT_BYTES = 16

# A literal, because SQLite does not use a partial index for a parameter.
KEYS_AND_EPOCHS = peewee.SQL(f"kind IN ('{KEY}', '{EPOCH}')")


class LedgerEntry(Table):
    """An entry of an organization's ledger (rules/ledger/entries.py); its UUIDv7 id contains its time.

    `position` and `link` are null until the worker numbers the entry (models/ledger/numbering.py). `is_rejected` marks
    an entry that the service did not sign.
    """

    personal_data = None  # only ids, hashes and counts

    id = UUIDField(primary_key=True, default=new_id)
    organization_id = UUIDField()
    candidate_id = UUIDField(null=True, index=True)
    kind = TextField()
    subject = UUIDField()
    version = IntegerField()
    reason = TextField()
    content = TextField(null=True)
    content_hash = BytesField()
    column_digests = BytesField()
    key_id = TextField()
    signature = BytesField()
    position = BigIntegerField(null=True)
    link = BytesField(null=True)
    is_rejected = peewee.BooleanField(default=False)

    class Meta:
        indexes = ((("organization_id", "position"), True),)

    @property
    def entry(self) -> Entry:
        """The entry as it was signed."""
        ids = ("id", "organization_id", "candidate_id", "subject")
        values = {name: getattr(self, name) for name in Entry._fields}
        return Entry(**values | {name: values[name] and str(values[name]) for name in ids})

    @property
    def created_at(self) -> datetime:
        return datetime.fromtimestamp((self.id.int >> 80) / 1000, UTC)

    @classmethod
    def waiting(cls) -> Query:
        return cls.select().where(cls.position.is_null(), ~cls.is_rejected)

    @classmethod
    def last_numbered(cls, organization_id: Any) -> Self | None:
        numbered = cls.select().where(cls.organization_id == organization_id, cls.position.is_null(False))
        return numbered.order_by(cls.position.desc()).first()

    @classmethod
    def keys_and_epochs(cls, organization_id: Any) -> Query:
        is_owned = (cls.organization_id == organization_id) & KEYS_AND_EPOCHS
        return cls.select().where(is_owned, ~cls.is_rejected)

    @classmethod
    def newest(cls, kind: str, subject: Any) -> Self | None:
        of_subject = cls.select().where(cls.subject == subject, cls.kind == kind)
        return of_subject.order_by(cls.version.desc()).first()


class Owner(NamedTuple):
    """The organization whose ledger gets an entry, and the candidate that the entry is about, if any."""

    organization_id: Any
    candidate_id: Any = None


def append(
    owner: Owner, kind: str, reason: str, *, content: Any = None, signed_by: str | None = None, **columns: Any
) -> Any:
    """Insert a signed entry, in the transaction of the change; return its id.

    content -- a JSON value that the entry contains
    signed_by -- the id of the key that signs; by default the first key
    columns -- `subject`, `version`, `content_hash` and `column_digests`, if the entry is about a row
    """
    key_id = signed_by or keys.signing()[0]
    entry_id = new_id()
    values = {"id": entry_id, "subject": entry_id, "version": 1, "content_hash": b"", "column_digests": b""}
    values |= owner._asdict() | {"kind": kind, "reason": reason, "content": None, "key_id": key_id} | columns
    if content is not None:
        values["content"] = json.dumps(content, separators=(",", ":"))
        values["content_hash"] = entries.hash_content(values["content"])
    values["signature"] = LedgerEntry(signature=b"", **values).entry.sign(keys.known()[key_id])
    sql.insert(LedgerEntry, [values])
    return entry_id


def append_erasure(owner: Owner) -> None:
    """Record that a candidate's rows were deleted, and drop what the ledger lists about them."""
    append(owner, ERASURE, "erased")
    LedgerEntry.update(content=None).where(LedgerEntry.candidate_id == owner.candidate_id).execute()


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


def _is_stored(field: Any, written: Any, stored: Any) -> bool:
    """Return whether the database stored what was written. A trigger could have changed it."""
    if isinstance(field, peewee.JSONField):
        return json.loads(stored or "null") == json.loads(json.dumps(written))
    return field.python_value(stored) == field.python_value(field.db_value(written))


class StoredRow(NamedTuple):
    """A protected row as stored, not converted by the fields.

    raw -- all protected columns
    values -- those that the ledger protects in the row's current state; the others are null
    """

    id: Any
    version: Any
    salt: Any
    raw: dict[str, Any]
    values: dict[str, Any]

    def hashes(self, columns: int) -> tuple[bytes, bytes]:
        """Return the content hash and the digests of the first columns."""
        salt = bytes(self.salt) if isinstance(self.salt, bytes | memoryview) else str(self.salt).encode()
        return entries.hash_row(salt, list(self.values.values())[:columns])


class ProtectedModel(Model):
    """A table whose `protected` columns change only together with a ledger entry.

    Append new columns to `protected`: an entry covers the columns that existed when it was written.

    unrecorded -- the values of a row that has no entry yet (version 0), if the table has such rows
    parent -- the reference to the row that has the organization; None if the row has it
    session_link -- the column that links the row to a session, and the session's column with the same value
    deleted_by_erasure -- whether an erasure deletes the candidate's rows
    """

    protected: ClassVar[tuple[str, ...]]
    unrecorded: ClassVar[dict[str, Any] | None] = None
    parent: ClassVar[str | None] = None
    session_link: ClassVar[tuple[str, str] | None] = None
    deleted_by_erasure: ClassVar[bool] = False

    ledger_salt = BytesField(default=new_salt)
    ledger_version = IntegerField(default=0)

    @classmethod
    def create(cls, **columns: Any) -> Self:
        row = cls(**columns, ledger_version=1)
        with db.atomic():
            row.save(force_insert=True)
            row._append("created", 1, {}, {name: row.__data__.get(name) for name in cls.protected})
        return row

    def update_columns(self, **values: Any) -> int:
        return self.record_change("changed", **values)

    def record_change(self, reason: str, /, **values: Any) -> int:
        """Update the row and this instance, with an entry if a protected column changes; return the changed rows.

        Raises UnknownLedgerKey if the row's previous entry cannot be verified.
        """
        # A reference has two names, such as `rubric` and `rubric_id`.
        values = {getattr(type(self), name).name: value for name, value in values.items()}
        if values.keys() & set(self.protected):
            return self._write(reason, values)
        return super().update_columns(**values)

    def protect(self, **values: Any) -> None:
        """Append the first entry of a row that was inserted without one, after updating its columns."""
        self._write("protected", values)

    def record_again(self, reason: str) -> None:
        """Append an entry of the row as it is, whether or not it matches its previous entry."""
        self._write(reason, {}, verifies=False)

    def _write(self, reason: str, values: dict[str, Any], verifies: bool = True) -> int:
        """Change the row and append its entry.

        verifies -- compare the row with its previous entry. If it differs, the new entry gets an empty hash, which
            matches no row, so that the manipulation stays reported, and the previous digests, which name the columns
        """
        with db.atomic():
            stored = self.stored_row(self.id, locks=True)
            if stored is None:
                return 0
            newest = LedgerEntry.newest(self._meta.table_name, self.id)
            is_intact = self._is_intact(stored, newest) if verifies else True
            if is_intact is None:
                raise UnknownLedgerKey()
            version = (newest.version if newest else 0) + 1
            if reason == "erased":
                # The earlier hashes must not reveal what was erased.
                values = values | {"ledger_salt": new_salt()}
            changed_rows = super().update_columns(ledger_version=version, **values)
            hashes = {} if is_intact else {"content_hash": b""}
            if newest and not is_intact:
                hashes["column_digests"] = newest.column_digests
            self._append(reason, version, stored.raw, values, **hashes)
        return changed_rows

    def set_once(self, column: str, **values: Any) -> None:
        """Like Model.set_once, with an entry."""
        with db.atomic():
            try:
                is_set = getattr(self.lock(), column) is not None
            except peewee.DoesNotExist:
                is_set = True
            if is_set:
                raise NotFound()
            self.record_change("changed", **{column: clock.now()}, **values)

    def delete_protected(self) -> None:
        """Delete the row and append its last entry, even if the row does not match its previous one."""
        with db.atomic():
            newest = LedgerEntry.newest(self._meta.table_name, self.id)
            version = (newest.version if newest else 0) + 1
            append(self.owner, self._meta.table_name, DELETED, subject=self.id, version=version)
            self.delete_instance()

    @classmethod
    def of_organization_id(cls, organization_id: Any) -> Query:
        table: Any = cls
        if cls.parent is None:
            return cls.select().where(table.organization == organization_id)
        parent = getattr(table, cls.parent)
        owners = parent.rel_model.select(parent.rel_model.id).where(
            parent.rel_model.organization == organization_id
        )
        return cls.select().where(parent.in_(owners))

    @classmethod
    def purge(cls, ids: list[Any], organization_id: Any) -> int:
        """Delete an organization's expired rows, and append an entry with the ids of those that matched theirs.

        Rows whose entries have an unknown key stay until the key is known.
        """
        with db.atomic():
            intact, unverified = [], []
            for each in ids:
                if stored := cls.stored_row(each, locks=True):
                    is_intact = cls._is_intact(stored, LedgerEntry.newest(cls._meta.table_name, each))
                    if is_intact is None:
                        unverified.append(each)
                    elif is_intact:
                        intact.append(str(each))
            count = cls.delete().where(cls.id.in_([each for each in ids if each not in unverified])).execute()
            if intact:
                append(Owner(organization_id), PURGE, cls._meta.table_name, content={"ids": intact})
        return count

    @property
    def owner(self) -> Owner:
        parent = getattr(self, self.parent) if self.parent else self
        return Owner(parent.organization_id, getattr(self, "key_id", None) or getattr(parent, "key_id", None))

    @classmethod
    def stored_row(cls, row_id: Any, locks: bool = False) -> StoredRow | None:
        """Read a row's protected columns, optionally locked until the transaction ends."""
        lock = "FOR NO KEY UPDATE" if locks and is_postgres() else ""
        return next(cls.stored_rows(f"WHERE t.id = :id {lock}", id=row_id), None)

    @classmethod
    def stored_rows(cls, condition: str, **values: Any) -> Iterator[StoredRow]:
        """Read the protected columns of the rows `t` that match an SQL condition."""
        fields = [getattr(cls, name) for name in cls.protected]
        # JSON as text: a reader could not tell a value that is too deep from null.
        columns = [
            f"CAST(t.{field.column_name} AS TEXT)"
            if isinstance(field, peewee.JSONField)
            else f"t.{field.column_name}"
            for field in fields
        ]
        text = f"SELECT t.id, t.ledger_version, t.ledger_salt, {', '.join(columns)} FROM {cls._meta.table_name} t"
        for stored_id, version, salt, *stored in sql.rows(f"{text} {condition}", **values):
            raw = dict(zip(cls.protected, stored, strict=True))
            yield StoredRow(stored_id, version, salt, raw, cls.protected_values(raw))

    @classmethod
    def protected_values(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values that the ledger protects in a row's current state."""
        return values

    @classmethod
    def _is_intact(cls, stored: StoredRow, newest: LedgerEntry | None) -> bool | None:
        """Return whether a row matches its newest entry; None if the entry's key is unknown."""
        if newest is None:
            return stored.version == 0 and cls.has_unrecorded_values(stored)
        is_signed = newest.entry.is_signed(keys.known())
        content_hash, _ = stored.hashes(len(newest.column_digests) // entries.DIGEST_BYTES)
        is_same = stored.version == newest.version and content_hash == newest.content_hash
        return is_signed if is_same else False

    @classmethod
    def has_unrecorded_values(cls, stored: StoredRow) -> bool:
        """Return whether a row without an entry has only the values with which it was inserted."""
        if cls.unrecorded is None:
            return False
        return all(stored.values[name] == value for name, value in cls.unrecorded.items())

    def _append(
        self, reason: str, version: int, before: dict[str, Any], written: dict[str, Any], **hashes: Any
    ) -> None:
        """Append the entry of the row as it is now.

        before -- the stored values before the change
        written -- what the service wrote
        hashes -- `content_hash` and `column_digests`, if they are not computed from the row
        """
        stored = self.stored_row(self.id)
        assert stored is not None
        for name, value in stored.raw.items():
            field = getattr(type(self), name)
            if not (_is_stored(field, written[name], value) if name in written else value == before[name]):
                raise RuntimeError(f"The database changed {self._meta.table_name}.{name}.")
        content_hash, digests = stored.hashes(len(self.protected))
        hashes = {"content_hash": content_hash, "column_digests": digests} | hashes
        append(self.owner, self._meta.table_name, reason, subject=self.id, version=version, **hashes)
