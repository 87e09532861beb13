"""Candidate keys, in and out."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rules.rows import row_id, row_json, row_time
from schemas import Body, Count, Deleted, Id, Schema, Text, Timestamp, described

ON_DUPLICATE = ("allow", "return", "refuse")
STATUSES = ("pending", "active", "completed", "expired", "hired")


class Email(fields.Email):
    """An address of valid form, at most 254 characters; whether it exists is the mail server's to say (R14)."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value.strip() if isinstance(value, str) else value, attr, data, **kwargs)
        if not text.isprintable():
            # Between quotation marks there may be any character, and some cannot be written into a mail.
            raise self.make_error("invalid")
        return text


class NewKeys(Body):
    """How many keys, and for whom."""

    count = Count(1, 50, required=True, metadata=described("Number of keys to generate.", 2))
    candidate_emails = fields.List(
        Email(validate=validate.Length(max=254)),
        metadata=described(
            "Email addresses, exactly `count`; each is sent an invitation.",
            ["alice@example.com", "bob@example.com"],
        ),
    )
    candidate_names = fields.List(
        Text(255, one_line=True),
        metadata=described("Display names, as many as addresses; used in the invitations.", ["Alice", "Bob"]),
    )
    org_name = Text(
        255, one_line=True, metadata=described("Your company name for the invitations' text.", "Example Ltd")
    )

    on_duplicate = fields.String(
        load_default="allow",
        validate=validate.OneOf(ON_DUPLICATE),
        metadata=described(
            "What to do with an address that has an open key for this assessment: `allow` another one, `return` the "
            "open one in its place, without a message, or `refuse` the whole request.",
            "allow",
            enum=list(ON_DUPLICATE),
        ),
    )

    @ma.validates_schema
    def lengths_fit(self, data: dict, **kwargs: Any) -> None:
        count, emails, names = data["count"], data.get("candidate_emails"), data.get("candidate_names")
        if emails is not None and len(emails) != count:
            raise ma.ValidationError(
                f"Must have exactly {count} entries, as many as count.", "candidateEmails"
            )
        if names is not None and len(names) != count:
            raise ma.ValidationError(f"Must have exactly {count} entries.", "candidateNames")

    @ma.post_load
    def candidates(self, data: dict, **kwargs: Any) -> dict:
        """One entry for each candidate, as `invitations.issue_keys` takes them."""
        nobody = [None] * data["count"]
        people = zip(
            data.get("candidate_emails") or nobody, data.get("candidate_names") or nobody, strict=True
        )
        return {
            "candidates": [{"email": email, "name": name} for email, name in people],
            "org_name": data.get("org_name"),
            "on_duplicate": data["on_duplicate"],
        }


class Metadata(fields.Field):
    """A flat object of short texts: at most 20 members, their names up to 40 characters and their values up to 500."""

    def __init__(self, **kwargs: Any):
        shape = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 500}}
        super().__init__(metadata=shape | {"maxProperties": 20} | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ma.ValidationError("Must be an object.")
        if len(value) > 20:
            raise ma.ValidationError("Must have at most 20 members.")
        for name, text in value.items():
            if not 1 <= len(name) <= 40 or not isinstance(text, str) or len(text) > 500:
                raise ma.ValidationError(
                    "Names must have 1 to 40 characters; values must be texts of at most 500 characters."
                )
        return value

    def _serialize(self, value: dict[str, str] | None, attr: Any, obj: Any, **kwargs: Any) -> dict[str, str]:
        return value or {}


class Invite(Schema):
    """How the latest invitation fares."""

    state = fields.String(
        metadata=described(
            "`queued` (waiting, or to be tried again), `sent`, `saved` (as a file, where no mail server is set), "
            "`failed` or `canceled`.",
            "sent",
            enum=["queued", "sent", "saved", "failed", "canceled"],
        )
    )
    attempts = fields.Integer(metadata=described("How often delivery was tried.", 1))
    last_error = fields.String(
        allow_none=True,
        metadata=described("The mail server's last words, if it refused.", "450 4.2.0 Greylisted"),
    )
    sent_at = Timestamp(allow_none=True, metadata=described("When the mail server took it."))


class Key(Schema):
    """A candidate key (R16)."""

    id = Id(metadata=described("Its id."))
    key = fields.String(metadata=described("The key itself.", "PST-ABCD-EFGH"))
    assessment_id = Id(attribute="assessment", metadata=described("The assessment that it opens."))
    org_id = Id(attribute="organization", metadata=described("The organization that it belongs to."))
    status = fields.String(
        metadata=described(
            "Where the candidate stands, right whenever it is read.", "pending", enum=list(STATUSES)
        )
    )
    candidate_email = fields.String(
        allow_none=True, metadata=described("Email address.", "alice@example.com")
    )
    candidate_name = fields.String(allow_none=True, metadata=described("Display name.", "Alice"))
    external_id = fields.String(
        allow_none=True, metadata=described("What your own system calls the candidate.", "applicant-4711")
    )
    metadata = Metadata(
        metadata=described("Whatever else you keep with the candidate.", {"source": "careers page"})
    )
    session_id = Id(allow_none=True, metadata=described("The session, once the key is redeemed."))
    expires_at = Timestamp(metadata=described("Until when the key can be redeemed."))
    redeemed_at = Timestamp(allow_none=True, metadata=described("When it was redeemed."))
    completed_at = Timestamp(
        allow_none=True, metadata=described("When the candidate completed; null for an expired session.")
    )
    created_at = Timestamp(metadata=described("When it was generated."))
    erasure_requested_at = Timestamp(
        allow_none=True, metadata=described("When the candidate asked for the erasure of the data.")
    )
    invite = fields.Nested(
        Invite, dump_only=True, allow_none=True, metadata=described("The latest invitation, if there is one.")
    )


def key_of(row: Any) -> dict[str, Any]:
    """A Key, written from a row of models.candidates."""
    invite = {
        "state": row.invite_state,
        "attempts": row.invite_attempts,
        "lastError": row.invite_last_error,
        "sentAt": row_time(row.invite_sent_at),
    }
    return {
        "id": row_id(row.id),
        "key": row.key,
        "assessmentId": row_id(row.assessment_id),
        "orgId": row_id(row.organization_id),
        "status": row.status,
        "candidateEmail": row.candidate_email,
        "candidateName": row.candidate_name,
        "externalId": row.external_id,
        "metadata": row_json(row.metadata) or {},
        "sessionId": row_id(row.session_id),
        "expiresAt": row_time(row.expires_at),
        "redeemedAt": row_time(row.redeemed_at),
        "completedAt": row_time(row.completed_at),
        "createdAt": row_time(row.created_at),
        "erasureRequestedAt": row_time(row.erasure_requested_at),
        "invite": invite if row.invite_state else None,
    }


def candidate_of(row: Any) -> dict[str, Any]:
    """A Candidate, written from a row of models.candidates."""
    return key_of(row) | {"assessmentTitle": row.assessment_title}


class Keys(Schema):
    """Candidate keys, oldest first."""

    keys = fields.List(fields.Nested(Key), metadata=described("The keys."))


class RevokedKey(Deleted):
    """The key is revoked."""
