"""Compare rows with the ledger, and change the ledger as someone without its keys can."""

from models import LedgerEntry, Organization, ProtectedModel, db, sql
from models.base import is_postgres
from ops import ledger
from rules.ledger import entries
from rules.rows import row_id


def differences():
    """Verify all ledgers."""
    return [text for organization in Organization.select() for text in ledger.differences(organization)]


def numbered_entries(organization):
    rows = LedgerEntry.select().where(LedgerEntry.organization_id == organization.id)
    return list(rows.where(LedgerEntry.position.is_null(False)).order_by(LedgerEntry.position))


def renumber(rows):
    """Recompute the positions and links of an organization's entries, in this order."""
    ids = [row.id for row in rows]
    LedgerEntry.update(position=None).where(LedgerEntry.id.in_(ids)).execute()
    link = entries.START
    for position, row in enumerate(rows, 1):
        link = entries.next_link(link, position, str(row.id), row.signature)
        LedgerEntry.update(position=position, link=link).where(LedgerEntry.id == row.id).execute()


def defer_foreign_keys():
    db.execute_sql(
        "SET LOCAL session_replication_role = replica" if is_postgres() else "PRAGMA defer_foreign_keys = ON"
    )


def find_unrecorded():
    """Return the protected rows that differ from their newest entry: a write bypassed the ledger."""
    newest = {}
    columns = "kind, subject, version, content_hash"
    for kind, subject, version, content_hash in sql.rows(
        f"SELECT {columns} FROM ledger_entries ORDER BY version"
    ):
        newest[kind, row_id(subject)] = version, bytes(content_hash)
    unrecorded = []
    for table in ProtectedModel.__subclasses__():
        for row in table.stored_rows(""):
            entry = newest.get((table._meta.table_name, row_id(row.id)))
            recorded = (row.version, row.hashes(len(table.protected))[0])
            if entry != recorded and (entry or row.version or not table.has_unrecorded_values(row)):
                unrecorded.append(f"{table._meta.table_name} {row_id(row.id)}")
    return unrecorded
