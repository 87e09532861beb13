"""The audit log."""

import orjson

from access import auth, caller
from blueprints import Blueprint, file_response, get_filters, page
from models import ApiToken, batches
from models.ledger.audit import AuditEntry
from schemas.audit import AuditEntry as EntrySchema
from schemas.audit import AuditFilter, AuditLog, AuditQuery
from schemas.base import response_example

EXAMPLE_LINE = orjson.dumps(response_example(EntrySchema())).decode() + "\n"

blp = Blueprint("Audit", __name__, description="Log of changes, and of reads of candidates' data.")


@blp.get("/audit")
@auth.required(ApiToken)
@blp.arguments(AuditQuery, location="query")
@blp.response(200, AuditLog)
def list_audit(query):
    """List audit entries

    Changes in the organization, and reads of candidates' data, newest first. Reads of lists and cohort statistics are
    not recorded. Entries identify candidates only by id.
    """
    return page("entries", AuditEntry.search(caller, **get_filters(query)), query, newest_first=True)


@blp.get("/audit/export")
@auth.required(ApiToken)
@blp.arguments(AuditFilter, location="query")
@blp.file("JSON Lines, oldest entry first.", "The audit log as JSON Lines.", example=EXAMPLE_LINE)
def export_audit(query):
    """Export the audit log

    All matching entries as a JSON Lines file, oldest first.
    """
    entries = AuditEntry.search(caller, **query)
    schema, rows = EntrySchema(), batches.read_all(entries, AuditEntry.created_at, AuditEntry.id)
    return file_response("audit.jsonl", (orjson.dumps(schema.dump(row)) + b"\n" for row in rows))
