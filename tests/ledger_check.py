"""Check that the rows that a test wrote match their ledger entries: no write bypassed the ledger."""

from models import ProtectedModel, sql
from rules.rows import row_id


def find_unrecorded():
    """Return the protected rows that differ from their newest entry, as `table id`."""
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
