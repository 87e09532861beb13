"""Verify an organization's ledger (`flask ledger verify`)."""

from collections.abc import Iterator
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
    """Return the tables that are views, have triggers or rules, or lack a primary key or (on SQLite) types."""
    plain = {name for (name,) in sql.rows(_PLAIN_ON_POSTGRES if is_postgres() else _PLAIN_ON_SQLITE)}
    return [table._meta.table_name for table in tables() if table._meta.table_name not in plain]


_PLAIN_ON_POSTGRES = """
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND NOT c.relhasrules
      AND NOT c.relrowsecurity AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
      AND EXISTS (SELECT FROM pg_constraint p WHERE p.conrelid = c.oid AND p.contype = 'p')
"""
_PLAIN_ON_SQLITE = """
    SELECT name FROM pragma_table_list l WHERE strict AND type = 'table' AND schema = 'main'
      AND name NOT IN (SELECT tbl_name FROM sqlite_master WHERE type = 'trigger')
      AND EXISTS (SELECT 1 FROM pragma_table_info(l.name) WHERE pk)
"""


def count_replaced(organization: Organization) -> int:
    """Count the entries with an unknown key from before the last restart, which signed all rows again."""
    is_replaced = (LedgerEntry.position <= Scope(organization.id).start) & LedgerEntry.key_id.not_in(
        [*keys.known()]
    )
    return LedgerEntry.select().where(LedgerEntry.organization_id == organization.id, is_replaced).count()


def differences(organization: Organization) -> Iterator[str]:
    """Yield a sentence for each row, entry and session that differs from the ledger."""
    seen, unverified = set(), 0
    with snapshot():
        problems = list(verify(organization.id))
    for problem in problems:
        if problem.reason == UNVERIFIED:
            unverified += 1
        elif (problem.table, problem.row_id) not in seen:
            seen.add((problem.table, problem.row_id))
            yield f"{problem}."
    if unverified:
        yield f"{unverified} rows or entries cannot be verified: their key is not in LEDGER_KEYS."
    start = Scope(organization.id).start
    sessions = Session.select().where(Session.organization == organization)
    for session in batches.read_all(sessions, Session.id):
        findings = Findings()
        with snapshot():
            check_events(Scope(organization.id, session, start), findings)
        for finding in findings.sorted_by_severity():
            first = f", first {finding.event_ids[0]}" if finding.event_ids else ""
            yield f"session {session.id}: {finding.code} ({finding.count} events{first})."
