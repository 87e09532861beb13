"""The audit log, as reviewers read it."""

from marshmallow import fields, validate

from schemas import Id, PageOf, PageQuery, Schema, Timestamp, TimestampInput, described

ACTORS = ("reviewer", "candidate", "command", "worker", "service")


class AuditQuery(PageQuery):
    """Which entries."""

    action = fields.String(
        validate=validate.Length(max=255),
        metadata=described("Only this operation, by its operationId.", "issueKeys"),
    )
    actor_id = Id(metadata=described("Only what was done with this token or key."))
    subject_id = Id(metadata=described("Only what was done to this, or read of it."))
    since = TimestampInput(metadata=described("Only what happened then or later."))
    until = TimestampInput(metadata=described("Only what happened before."))
    format = fields.String(
        load_default="json",
        validate=validate.OneOf(["json", "jsonl"]),
        metadata=described(
            "`jsonl` answers all that fits as a file, one entry a line.", "json", enum=["json", "jsonl"]
        ),
    )


class AuditEntry(Schema):
    """One change, or one reading of a candidate's record."""

    id = Id(metadata=described("Its id."))
    action = fields.String(metadata=described("The operation, by its operationId.", "issueKeys"))
    actor_kind = fields.String(
        metadata=described(
            "Who did it: a `reviewer`, a `candidate`, a `command` on the server, the `worker`, or the `service` by a "
            "rule such as the time limit, whoever noticed it.",
            "reviewer",
            enum=list(ACTORS),
        )
    )
    actor_id = Id(allow_none=True, metadata=described("The token, or the candidate."))
    actor_name = fields.String(
        allow_none=True, metadata=described("The token's name at that time.", "Hiring team")
    )
    subject_kind = fields.String(
        allow_none=True, metadata=described("What it was done to, or what came of it.", "assessment")
    )
    subject_id = Id(allow_none=True, metadata=described("The id of that."))
    further_ids = fields.List(
        fields.String(), metadata=described("What else came of it: the keys that were generated.", [])
    )
    members = fields.List(
        fields.String(), metadata=described("The members of the body that were given, no values.", ["title"])
    )
    came_from = fields.String(
        allow_none=True, metadata=described("A reviewer's network address.", "203.0.113.7")
    )
    request_id = fields.String(
        allow_none=True, metadata=described("The request's id: `X-Request-Id`, or one of our own.", "req-1")
    )
    created_at = Timestamp(metadata=described("When."))
    position = fields.Integer(
        allow_none=True, metadata=described("Its place in the chain; null until it is chained.", 1)
    )
    hash = fields.Function(
        lambda entry: entry.hash and entry.hash.hex(),
        metadata=described(
            "SHA-256 over this entry and the one before it, in hex; null until it is chained.",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            type=["string", "null"],
        ),
    )


class AuditLog(PageOf):
    """A page of the audit log, the latest first."""

    entries = fields.List(fields.Nested(AuditEntry), metadata=described("The entries of this page."))
