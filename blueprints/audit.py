"""The audit log: who did what, for reviewers."""

from collections.abc import Iterator

import orjson
from flask import Response, stream_with_context

from access import auth
from access.auth import caller
from blueprints import Blueprint, page
from models import ApiToken, batches
from models.audit import AuditEntry
from schemas.audit import AuditEntry as Shape
from schemas.audit import AuditLog, AuditQuery

blp = Blueprint("Audit", __name__, description="Who changed what, and who read what is held of candidates.")

FILE = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
FILE_SHAPE = {"type": "string", "description": "JSON Lines: one entry a line, the earliest first."}


@blp.get("/audit")
@auth.required(ApiToken)
@blp.arguments(AuditQuery, location="query")
@blp.response(200, AuditLog)
@blp.alt_response(
    200,
    schema=FILE_SHAPE,
    content_type="application/x-ndjson",
    description=AuditLog.Meta.description,
)
def list_audit(query):
    """Read the audit log

    A page of the organization's changes and of the readings of candidates' records, the latest first. Lists and
    cohort statistics are no reading. With `format=jsonl` all that fits as a file, the earliest first. Entries name
    things by their ids, and never a candidate by name or address.
    """
    entries = _matching(query)
    if query["format"] == "jsonl":
        return Response(stream_with_context(_lines(entries)), mimetype="application/x-ndjson", headers=FILE)
    ordered = entries.order_by(AuditEntry.created_at.desc(), AuditEntry.id.desc())
    return page("entries", ordered, query["limit"], query["offset"])


def _matching(query):
    entries = AuditEntry.visible_to(caller)
    for name in ("action", "actor_id", "subject_id"):
        if name in query:
            entries = entries.where(getattr(AuditEntry, name) == query[name])
    if "since" in query:
        entries = entries.where(AuditEntry.created_at >= query["since"])
    if "until" in query:
        entries = entries.where(AuditEntry.created_at < query["until"])
    return entries


def _lines(entries) -> Iterator[bytes]:
    shape = Shape()
    for entry in batches.read_all(entries, AuditEntry.created_at, AuditEntry.id):
        yield orjson.dumps(shape.dump(entry)) + b"\n"
