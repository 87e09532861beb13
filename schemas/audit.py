"""The audit log."""

from schemas.base import PageOf, Schema, define_schema
from schemas.fields import Choice, Id, ListOf, String
from schemas.queries import Filter, PageQuery
from schemas.timestamps import Timestamp, TimestampInput

ACTORS = ("person", "apiToken", "runner", "candidate", "integration", "command", "worker", "service")


class AuditFilter(Filter):
    """Filters for the audit log."""

    action = String("Only this operation, by its operationId.", max=255)
    actor_id = Id("Only actions by this person, service account token or candidate.")
    subject_id = Id("Only changes and reads of this object.")
    since = TimestampInput("Only entries at or after this time.")
    until = TimestampInput("Only entries before this time.")


class AuditQuery(AuditFilter, PageQuery):
    """Filters and paging for the audit log."""


class AuditEntry(Schema):
    """A change, or a read of a candidate's data."""

    id = Id("Unique id.")
    action = String("Operation, by its operationId.", example="issueKeys")
    actor_kind = Choice(
        ACTORS,
        "`apiToken`: a service account's token. `service`: automatic actions, such as closing a session. "
        "`integration`: an applicant-tracking system whose stage change invited a candidate.",
        example="person",
    )
    actor_id = Id("Id of the person, token, candidate or integration.", null=True)
    actor_name = String(
        "The person's, token's or integration's name at the time.", example="Hiring team", null=True
    )
    subject_kind = String("Kind of object created, changed or read.", example="assessment", null=True)
    subject_id = Id("The object's id.", null=True)
    further_ids = ListOf(String(), "Ids of other objects created, such as keys.", example=[])
    body_fields = ListOf(String(), "Names of the fields in the request body.", example=["title"])
    came_from = String("The reviewer's network address.", example="203.0.113.7", null=True)
    request_id = String("Request id: `X-Request-Id`, or a generated one.", example="req-1", null=True)
    created_at = Timestamp("Time when it was recorded.")


AuditLog = define_schema("AuditLog", "Entries, newest first.", PageOf, entries=ListOf(AuditEntry, "Entries."))
