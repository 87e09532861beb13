"""Verify a ledger: its entries, and the protected rows against them (docs/integrity.md)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from models import batches, sql
from models.base import clock
from models.ledger import keys
from models.ledger.audit import AuditEntry
from models.ledger.numbering import introduced_keys
from models.ledger.protection import LedgerEntry, ProtectedModel, StoredRow
from models.sessions import Session
from models.sessions.model_usage import ModelUsage
from models.sessions.submissions import Submission, SubmissionFile
from rules.ledger import entries
from rules.ledger.chain import UNVERIFIED, ChainCheck
from rules.ledger.entries import DELETED, EPOCH, ERASURE, EVENTS, PURGE, RESTARTED
from rules.rows import row_id

# The worker numbers entries within seconds, but may be down for a while.
OVERDUE = timedelta(hours=1)


class Problem(NamedTuple):
    """A difference between a ledger and the rows.

    table -- of the row; `ledger_entries` for an entry
    reason -- `changed`, `inserted`, `missing` or `repeated`; `entry_missing`, `recorded_twice` or `not_numbered` for
        its entries; UNVERIFIED for an unknown key
    columns -- the changed columns, if they are known
    """

    table: str
    row_id: Any
    reason: str
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"{self.table} {self.row_id}: {self.reason.replace('_', ' ')}{names}"


class Scope:
    """The rows and entries of an organization, or only of one of its sessions."""

    def __init__(
        self,
        organization_id: Any,
        session: Session | None = None,
        start: int | None = None,
        at: datetime | None = None,
    ) -> None:
        """
        at -- the time of the rows, such as a backup's; None for now
        start -- the position of the last restart, before which entries say nothing about the rows; None to look it up
        """
        self.organization_id, self.session = organization_id, session
        self.overdue_before = (at or clock.now()) - OVERDUE
        self.start = _last_restart(organization_id) if start is None else start

    @property
    def tables(self) -> list[type[ProtectedModel]]:
        tables: Any = ProtectedModel.__subclasses__()
        return [table for table in tables if self.session is None or table.session_link]

    def condition(self, table: Any) -> tuple[str, dict[str, Any]]:
        """Return the SQL condition for the rows `t` of a table in this scope."""
        if self.session is not None:
            column, of_session = table.session_link
            return f"t.{column} = :scope", {"scope": getattr(self.session, of_session)}
        if table.parent is None:
            return "t.organization_id = :scope", {"scope": self.organization_id}
        parent = getattr(table, table.parent)
        owned = f"SELECT id FROM {parent.rel_model._meta.table_name} WHERE organization_id = :scope"
        return f"t.{parent.column_name} IN ({owned})", {"scope": self.organization_id}

    @property
    def entries(self) -> Any:
        query = LedgerEntry.select().where(LedgerEntry.organization_id == self.organization_id)
        if self.session is not None:
            query = query.where(LedgerEntry.candidate_id == self.session.key_id)
        return query

    @property
    def lists(self) -> Any:
        """The entries that list rows, since the last restart."""
        is_current = LedgerEntry.position.is_null() | (LedgerEntry.position > self.start)
        return self.entries.where(LedgerEntry.kind == EVENTS, is_current)

    @cached_property
    def erased_candidates(self) -> set[Any]:
        erasures = self.entries.where(LedgerEntry.kind == ERASURE)
        return {row.candidate_id for row in erasures if self.is_signed(row) is not False}

    def purged(self, table_name: str) -> set[Any]:
        """The ids of a table's purged rows."""
        return self._purged.get(table_name, set())

    @cached_property
    def _purged(self) -> dict[str, set[Any]]:
        purged: dict[str, set[Any]] = {}
        purges = LedgerEntry.select().where(
            LedgerEntry.organization_id == self.organization_id, LedgerEntry.kind == PURGE
        )
        for row in purges:
            if self.is_signed(row) is not False:
                ids = map(row_id, row.entry.parsed_content.get("ids", ()))
                purged.setdefault(row.reason, set()).update(ids)
        return purged

    @cached_property
    def _introduced(self) -> set[str]:
        return introduced_keys(self.organization_id)

    def is_signed(self, row: LedgerEntry) -> bool | None:
        """Return whether the service signed an entry; None if its key was introduced but is unknown."""
        is_signed = row.entry.is_signed(keys.known())
        # After a restart, entries of unknown keys excuse no missing row, not even entries from before it.
        is_introduced = self.start == 0 and row.key_id in self._introduced
        return False if is_signed is None and not is_introduced else is_signed


def _last_restart(organization_id: Any) -> int:
    epochs = LedgerEntry.keys_and_epochs(organization_id).where(LedgerEntry.reason == RESTARTED)
    return max(
        (row.position for row in epochs if row.position and row.entry.is_signed(keys.known())), default=0
    )


def verify(scope: Scope) -> Iterator[Problem]:
    """Yield every difference of an organization, except events (models/ledger/integrity.py)."""
    yield from _check_chain(scope)
    yield from check_rows(scope)
    yield from _check_listed(scope, AuditEntry, "audit")


def check_rows(scope: Scope) -> Iterator[Problem]:
    """Yield the differences of the protected rows in a scope."""
    for table in scope.tables:
        yield from _check_table(scope, table)
        yield from _missing_rows(scope, table)
    yield from _check_listed(scope, ModelUsage, "calls")
    yield from _check_final_diff(scope)


def _check_table(scope: Scope, table: type[ProtectedModel]) -> Iterator[Problem]:
    condition, values = scope.condition(table)
    after = ""
    while True:
        text = f"WHERE {condition} {after} ORDER BY t.id LIMIT {batches.MAX_ROWS}"
        rows = list(table.stored_rows(text, **values))
        if not rows:
            return
        newest = _newest_entries(table, [row.id for row in rows])
        for row in rows:
            if problem := _check_row(scope, table, row, newest.get(str(row_id(row.id)))):
                yield problem
        after, values["last"] = "AND t.id > :last", rows[-1].id


def _newest_entries(table: Any, ids: list[Any]) -> dict[str, LedgerEntry]:
    found = LedgerEntry.select().where(
        LedgerEntry.subject.in_([row_id(each) for each in ids]), LedgerEntry.kind == table._meta.table_name
    )
    return {str(row.subject): row for row in found.order_by(LedgerEntry.version)}


def _check_row(
    scope: Scope, table: type[ProtectedModel], row: StoredRow, newest: LedgerEntry | None
) -> Problem | None:
    name, subject = table._meta.table_name, row_id(row.id)
    if newest is None:
        is_new = row.version == 0 and table.has_unrecorded_values(row)
        return None if is_new else Problem(name, subject, "inserted")
    entry, is_signed = newest.entry, scope.is_signed(newest)
    if is_signed is None:
        return Problem(name, subject, UNVERIFIED)
    is_erased = table.deleted_by_erasure and newest.candidate_id in scope.erased_candidates
    if (is_erased or subject in scope.purged(name)) and is_signed:
        return Problem(name, subject, "inserted")
    if entry.reason == DELETED or not is_signed:
        return Problem(name, subject, "inserted" if is_signed else "changed")
    content_hash, digests = row.hashes(len(entry.column_digests) // entries.DIGEST_BYTES)
    if row.version == entry.version and content_hash == entry.content_hash:
        return None
    changed = entries.changed_columns(table.protected, entry.column_digests, digests)
    return Problem(name, subject, "changed", tuple(changed))


def _missing_rows(scope: Scope, table: type[ProtectedModel]) -> Iterator[Problem]:
    """Yield the rows that have entries but are not in the scope, unless an entry records their deletion."""
    name = table._meta.table_name
    of_session = "AND e.candidate_id = :candidate_id" if scope.session is not None else ""
    values = {"candidate_id": scope.session.key_id} if scope.session is not None else {}
    condition, of_scope = scope.condition(table)
    text = f"""
        SELECT e.subject, e.candidate_id FROM ledger_entries e
            LEFT JOIN {name} t ON t.id = e.subject AND {condition}
        WHERE e.organization_id = :organization_id AND e.kind = :kind AND t.id IS NULL {of_session}
            AND (e.position IS NULL OR e.position > :start)
        GROUP BY e.subject, e.candidate_id
    """
    rows = sql.rows(
        text, organization_id=scope.organization_id, kind=name, start=scope.start, **values, **of_scope
    )
    erased = scope.erased_candidates if table.deleted_by_erasure else ()
    missing = [row_id(subject) for subject, candidate in rows if row_id(candidate) not in erased]
    if not missing:
        return
    newest = _newest_entries(table, missing)
    deletions = {
        row.subject for row in newest.values() if row.reason == DELETED and scope.is_signed(row) is not False
    }
    for each in missing:
        if each not in deletions and each not in scope.purged(name):
            yield Problem(name, each, "missing")


def _check_listed(scope: Scope, table: Any, part: str) -> Iterator[Problem]:
    """Compare rows with a MAC with the entries that list them."""
    name = table._meta.table_name
    rows = table.select()
    if scope.session is not None:
        rows = rows.where(table.session == scope.session)
    elif table is AuditEntry:
        rows = rows.where(table.organization == scope.organization_id)
    else:
        rows = rows.join(Session).where(Session.organization == scope.organization_id)
    lists: dict[Any, dict[str, str]] = {}
    erased = set()
    for row in batches.read_all(rows, table.id):
        is_accepted, entry_id = row.is_accepted, row.ledger_entry_id
        if entry_id is not None and entry_id not in lists:
            entry = LedgerEntry.get_or_none(LedgerEntry.id == entry_id)
            lists[entry_id] = _listed(scope, entry, part)
            if entry is not None and entry.candidate_id in scope.erased_candidates:
                erased.add((entry_id, entry.candidate_id))
        is_listed = entry_id is not None and lists[entry_id].pop(str(row.id), None) == row.arrival_mac
        # An erasure drops the list; the row's MAC stays.
        is_listed = is_listed or (table is ModelUsage and (entry_id, row.session.key_id) in erased)
        if is_accepted is None:
            yield Problem(name, row.id, UNVERIFIED)
        elif not is_accepted:
            yield Problem(name, row.id, "changed" if is_listed else "inserted")
        elif not is_listed and (entry_id is not None or row.created_at < scope.overdue_before):
            yield Problem(name, row.id, "inserted" if entry_id is not None else "entry_missing")
    for entry in batches.read_all(scope.lists, LedgerEntry.id, max_rows=50):
        if entry.candidate_id not in scope.erased_candidates:
            listed = lists[entry.id] if entry.id in lists else _listed(scope, entry, part)
            for each in listed:
                yield Problem(name, each, "missing")


def _listed(scope: Scope, entry: LedgerEntry | None, part: str) -> dict[str, str]:
    """Return the MACs that a signed entry lists, by row id."""
    if entry is None or scope.is_signed(entry) is False:
        return {}
    return entries.listed(entry.entry, part)


def _check_final_diff(scope: Scope) -> Iterator[Problem]:
    """Compare the files of final diffs with the hashes in their submissions."""
    has_hash = Submission.files_sha256.is_null(False) & Submission.object_key.is_null(False)
    unhashed = SubmissionFile.select(SubmissionFile.session).distinct().join(Session)
    unhashed = unhashed.where(
        Session.organization == scope.organization_id,
        SubmissionFile.session.not_in(Submission.select(Submission.session).where(has_hash)),
    )
    if scope.session is not None:
        unhashed = unhashed.where(SubmissionFile.session == scope.session)
    for row in unhashed:
        yield Problem("submission_files", row.session_id, "inserted")
    submissions = Submission.select(Submission.id, Submission.session, Submission.files_sha256).join(Session)
    submissions = submissions.where(Session.organization == scope.organization_id, has_hash)
    if scope.session is not None:
        submissions = submissions.where(Submission.session == scope.session)
    for submission in submissions:
        if SubmissionFile.stored_sha256(submission.session) != submission.files_sha256:
            yield Problem("submission_files", submission.id, "changed")


# The chain


def _check_chain(scope: Scope) -> Iterator[Problem]:
    """Check an organization's entries: positions, links, signatures and keys."""
    numbered = scope.entries.where(LedgerEntry.position.is_null(False))
    epochs = numbered.where(LedgerEntry.kind == EPOCH)
    signed = (row.position for row in epochs if row.entry.is_signed(keys.known()))
    check = ChainCheck(keys.known(), max(signed, default=0))
    # By id too, because the unique index could be missing.
    for row in batches.read_all(numbered, LedgerEntry.position, LedgerEntry.id):
        reason = check.add(row.entry) or ("changed" if row.is_rejected else None)
        if reason and not (reason == UNVERIFIED and row.position <= scope.start):
            yield Problem("ledger_entries", row.id, reason)
    for row in batches.read_all(scope.entries.where(LedgerEntry.position.is_null()), LedgerEntry.id):
        verdict = scope.is_signed(row)
        if verdict is False or row.is_rejected:
            yield Problem("ledger_entries", row.id, "inserted")
        elif verdict is None:
            yield Problem("ledger_entries", row.id, UNVERIFIED)
        elif row.created_at < scope.overdue_before:
            yield Problem("ledger_entries", row.id, "not_numbered")
    subjects = sql.rows(
        "SELECT kind, subject, COUNT(*), COUNT(DISTINCT version) FROM ledger_entries"
        " WHERE organization_id = :organization_id GROUP BY kind, subject"
        " HAVING COUNT(*) <> MAX(version) OR COUNT(*) <> COUNT(DISTINCT version)",
        organization_id=scope.organization_id,
    )
    for kind, subject, count, versions in subjects:
        yield Problem(kind, row_id(subject), "recorded_twice" if versions < count else "entry_missing")


def check_links(scope: Scope) -> Iterator[Problem]:
    """Check that each entry of a session is signed and follows the one before it."""
    for row in batches.read_all(scope.entries, LedgerEntry.id):
        if not (is_signed := scope.is_signed(row)):
            is_earlier = row.position is not None and row.position <= scope.start
            is_unverified = is_signed is None or (is_earlier and row.key_id not in keys.known())
            yield Problem("ledger_entries", row.id, UNVERIFIED if is_unverified else "changed")
    numbered = scope.entries.where(LedgerEntry.position.is_null(False))
    for row in batches.read_all(numbered, LedgerEntry.position):
        before = LedgerEntry.get_or_none(
            LedgerEntry.organization_id == row.organization_id, LedgerEntry.position == row.position - 1
        )
        link = before.link if before else entries.START
        if (before is None and row.position > 1) or row.link != entries.next_link(
            link, row.position, str(row.id), row.signature
        ):
            yield Problem("ledger_entries", row.id, "entry_missing")
