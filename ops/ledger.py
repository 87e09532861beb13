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

    They are views, have triggers, rules or child tables, or lack their primary key or (on SQLite) types. Or they have
    values that the service does not write: the database compares these in another way than the ledger, such as an id
    in capital letters.
    """
    plain = set(sql.rows(_PLAIN_ON_POSTGRES if is_postgres() else _PLAIN_ON_SQLITE))
    names = {table: (table._meta.table_name, table._meta.primary_key.column_name) for table in tables()}
    return [names[table][0] for table in names if names[table] not in plain or _has_malformed_values(table)]


def _has_malformed_values(table: Any) -> bool:
    conditions = " OR ".join(f"NOT ({_condition(field)})" for field in table._meta.sorted_fields)
    return bool(sql.rows(f"SELECT 1 FROM {table._meta.table_name} WHERE {conditions} LIMIT 1"))


def _condition(field: Any) -> str:
    """Return the SQL condition for a column's values."""
    type_on_postgres, is_valid_on_sqlite = _TYPES[field.field_type]
    is_type = f"pg_typeof({{0}}) = '{type_on_postgres}'::regtype" if is_postgres() else is_valid_on_sqlite
    condition = f"{{0}} IS NULL OR {is_type}" if field.null else f"{{0}} IS NOT NULL AND {is_type}"
    return condition.format(field.column_name)


_IS_INTEGER, _IS_TEXT = "typeof({0}) = 'integer'", "typeof({0}) = 'text'"
_TIME = "dddd-dd-ddTdd:dd:dd.dddZ".replace("d", "[0-9]")
# The types by field type: the name on PostgreSQL, and the condition on SQLite.
_TYPES = {
    "BIGAUTO": ("bigint", _IS_INTEGER),
    "BIGINT": ("bigint", _IS_INTEGER),
    "BLOB": ("bytea", "typeof({0}) = 'blob'"),
    "BOOL": ("boolean", "typeof({0}) = 'integer' AND {0} IN (0, 1)"),
    "INT": ("integer", _IS_INTEGER),
    "JSON": ("jsonb", _IS_TEXT),
    "TEXT": ("text", _IS_TEXT),
    "TIMESTAMPTZ": ("timestamptz", f"{_IS_TEXT} AND {{0}} GLOB '{_TIME}'"),
    "UUID": ("uuid", f"{_IS_TEXT} AND length({{0}}) = 32 AND {{0}} NOT GLOB '*[^0-9a-f]*'"),
}


# Tables and their primary keys.
_PLAIN_ON_POSTGRES = """
    SELECT c.relname, k.attname FROM pg_class c
        JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
        JOIN pg_attribute k ON k.attrelid = c.oid AND p.conkey = ARRAY[k.attnum]
    WHERE pg_table_is_visible(c.oid)
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
    try:
        yield from _differences(organization, at)
    except (AttributeError, TypeError, ValueError) as error:
        # Without the tables' constraints, rows can have values that the service cannot read.
        yield f"not verified completely, because a value is malformed ({error})."


def _differences(organization: Organization, at: datetime | None) -> Iterator[str]:
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
