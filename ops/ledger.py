"""Verify an organization's ledger (`flask ledger verify`)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from models import LedgerEntry, Organization, Session, batches, sql
from models.base import is_postgres, tables
from models.database import snapshot
from models.ledger import keys
from models.ledger.integrity import check_events
from models.ledger.verify import Scope, verify
from rules.integrity.findings import Findings
from rules.ledger.chain import UNVERIFIED


def unknown_organizations() -> list[Any]:
    """Return the ids of organizations that have entries but no row."""
    entries = LedgerEntry.select(LedgerEntry.organization_id).distinct()
    return [row.organization_id for row in entries if not Organization.get_or_none(id=row.organization_id)]


def altered_tables() -> list[str]:
    """Return the tables that could store or return other rows than the service wrote.

    They are views, have triggers, rules or child tables, or lack their primary key or (on SQLite) types.
    """
    plain = set(sql.rows(_PLAIN_ON_POSTGRES if is_postgres() else _PLAIN_ON_SQLITE))
    names = [(table._meta.table_name, table._meta.primary_key.column_name) for table in tables()]
    return [name for name, key in names if (name, key) not in plain]


# Tables and their primary keys.
_PLAIN_ON_POSTGRES = """
    SELECT c.relname, k.attname FROM pg_class c
        JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
        JOIN pg_attribute k ON k.attrelid = c.oid AND p.conkey = ARRAY[k.attnum]
    WHERE c.relnamespace = current_schema()::regnamespace
      AND NOT c.relhasrules AND NOT c.relhassubclass AND NOT c.relrowsecurity
      AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
"""
_PLAIN_ON_SQLITE = """
    SELECT l.name, k.name FROM pragma_table_list l JOIN pragma_table_info(l.name) k
    WHERE l.strict AND l.schema = 'main' AND k.pk
      AND l.name NOT IN (SELECT tbl_name FROM sqlite_master WHERE type = 'trigger')
    GROUP BY l.name HAVING COUNT(*) = 1
"""


def count_replaced(organization: Organization) -> int:
    """Count the entries with an unknown key from before the last restart, which signed all rows again."""
    is_replaced = (LedgerEntry.position <= Scope(organization.id).start) & LedgerEntry.key_id.not_in(
        [*keys.known()]
    )
    return LedgerEntry.select().where(LedgerEntry.organization_id == organization.id, is_replaced).count()


def differences(organization: Organization, at: datetime | None = None) -> Iterator[str]:
    """Yield a sentence for each row, entry and session that differs from the ledger; `at` as for Scope."""
    seen, unverified = set(), 0
    with snapshot():
        scope = Scope(organization.id, at=at)
        problems = list(verify(scope))
    for problem in problems:
        if problem.reason == UNVERIFIED:
            unverified += 1
        elif (problem.table, problem.row_id) not in seen:
            seen.add((problem.table, problem.row_id))
            yield f"{problem}."
    if unverified:
        yield f"{unverified} rows or entries cannot be verified: their key is not in LEDGER_KEYS."
    sessions = Session.select().where(Session.organization == organization)
    for session in batches.read_all(sessions, Session.id):
        findings = Findings()
        with snapshot():
            check_events(Scope(organization.id, session, scope.start, at), findings)
        for finding in findings.sorted_by_severity():
            first = f", first {finding.event_ids[0]}" if finding.event_ids else ""
            yield f"session {session.id}: {finding.code} ({finding.count} events{first})."
