"""The audit log, for reviewers."""

import orjson

from access import auth, caller
from blueprints import Blueprint, file_response, filters_of, page
from models import ApiToken, batches
from models.ledger.audit import AuditEntry
from schemas.audit import AuditEntry as EntrySchema
from schemas.audit import AuditFilter, AuditLog, AuditQuery
from schemas.base import response_example

EXAMPLE_LINE = orjson.dumps(response_example(EntrySchema())).decode() + "\n"

blp = Blueprint("Audit", __name__, description="Log of changes, and of reads of candidates' records.")


@blp.get("/audit")
@auth.required(ApiToken)
@blp.arguments(AuditQuery, location="query")
@blp.response(200, AuditLog)
def list_audit(query):
    """List audit entries

    A page of the organization's changes and reads of candidates' records, newest first. Reading lists and cohort
    statistics is not recorded. Entries refer to candidates by id only, never by name or address.
    """
    entries = AuditEntry.search(caller, **filters_of(query))
    if query["format"] == "jsonl":
        return _file_of(entries)
    return page("entries", entries, query, newest_first=True)


@blp.get("/audit/export")
@auth.required(ApiToken)
@blp.arguments(AuditFilter, location="query")
@blp.file("JSON Lines: one entry per line, oldest first.", "The audit log as a file.", example=EXAMPLE_LINE)
def export_audit(query):
    """Export the audit log

    All matching entries as a JSON Lines file, oldest first.
    """
    return _file_of(AuditEntry.search(caller, **query))


def _file_of(entries):
    schema, rows = EntrySchema(), batches.read_all(entries, AuditEntry.created_at, AuditEntry.id)
    return file_response("audit.jsonl", (orjson.dumps(schema.dump(row)) + b"\n" for row in rows))
