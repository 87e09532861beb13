"""Candidate keys."""

from typing import Any

import marshmallow as ma

from rules import candidate_keys
from rules.rows import row_id, row_json, row_time
from rules.statistics.fairness import DECISIONS
from schemas import common
from schemas.base import Author, Body, CursorPageOf, Deleted, Schema, camel, define_schema
from schemas.fields import Choice, DocumentedField, Email, Id, Integer, Line, ListOf, Nested, String
from schemas.timestamps import Timestamp

STATUSES = ("pending", "active", "completed", "expired", "hired")
SESSION_STATUSES = STATUSES[1:]
EXTERNAL_ID = "Your own id for the candidate, unique in the assessment."
FINDING_REASON = "Reason to decide although findings can change the results."
MASKED_KEY = candidate_keys.MASKED
INVITE_STATES = ("queued", "sent", "saved", "failed", "canceled", "suppressed")


class Metadata(DocumentedField):
    """A flat object of at most 20 strings."""

    openapi = {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 500},
        "maxProperties": 20,
    }
    default_error_messages = {
        "invalid": "Must be an object of at most 20 strings of up to 500 characters, with names of 1 to 40 characters."
    }

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> dict[str, str]:
        entries = value.items() if isinstance(value, dict) and len(value) <= 20 else [("", value)]
        if all(1 <= len(name) <= 40 and isinstance(text, str) and len(text) <= 500 for name, text in entries):
            return value
        raise self.make_error("invalid")

    def _serialize(self, value: dict[str, str] | None, attr: Any, obj: Any, **kwargs: Any) -> dict[str, str]:
        return value or {}


class NewCandidate(Body):
    """A candidate to generate a key for."""

    email = Email("Email address to invite.", load_default=None, example="alice@example.com")
    name = Line(255, "Display name.", load_default=None, example="Alice")
    external_id = Line(255, EXTERNAL_ID, load_default=None, example="applicant-4711")
    metadata = Metadata("Your own data about the candidate.", example={"source": "careers page"})
    extra_minutes = Integer("Minutes added to the assessment's time limit.", min=1, max=43_200, example=30)


class NewKeys(Body):
    """Candidate keys to generate."""

    alternatives = ("candidates",)

    count = Integer("Number of keys to generate.", min=1, max=50, example=2, required=True)
    candidate_emails = ListOf(
        Email(), "Email addresses; exactly `count`.", max=50, example=["alice@example.com", "bob@example.com"]
    )
    candidate_names = ListOf(Line(255), "Display names; exactly `count`.", max=50, example=["Alice", "Bob"])
    candidates = ListOf(
        NewCandidate, "Alternative to `candidateEmails` and `candidateNames`; exactly `count`.", max=50
    )
    org_name = Line(255, "Company name in the invitations.", example="Example Ltd")
    expires_in_days = Integer("Days until expiry; by default the assessment's.", min=1, max=365, example=7)
    on_duplicate = Choice(
        ["allow", "return", "reject"],
        "For an address with an open key: `allow` another key, `return` the open key without a message, or `reject` "
        "the request.",
        load_default="allow",
        example="allow",
    )

    @ma.validates_schema
    def check_lengths(self, data: dict, **kwargs: Any) -> None:
        for name in ("candidate_emails", "candidate_names", "candidates"):
            if name in data and len(data[name]) != data["count"]:
                raise ma.ValidationError(f"Must have exactly `count` entries ({data['count']}).", camel(name))
            if name in data and name != "candidates" and "candidates" in data:
                raise ma.ValidationError("Not allowed together with `candidates`.", camel(name))

    @ma.post_load
    def pair_candidates(self, data: dict, **kwargs: Any) -> dict:
        """Build the arguments of `generate_keys`."""
        missing = [None] * data.pop("count")
        emails, names = (data.pop(name, missing) for name in ("candidate_emails", "candidate_names"))
        candidates = [{"email": email, "name": name} for email, name in zip(emails, names, strict=True)]
        return {"candidates": candidates} | data


class Invite(Schema):
    """The latest invitation's delivery."""

    state = Choice(
        INVITE_STATES,
        "`queued`: also between attempts. `saved`: written to a file. `suppressed`: over the limit per address.",
        example="sent",
    )
    attempts = Integer("Number of attempts.", example=1)
    last_error = String("The email server's last error.", example="450 4.2.0 Greylisted", null=True)
    sent_at = Timestamp("Time when the email server accepted it.", null=True)


class Key(Schema):  # R16
    """A candidate key."""

    id = Id("Unique id.")
    key = String(
        f"The key; `{MASKED_KEY}` for tokens without the `write` scope.", example="PST-ABCD-EFGH"
    )  # R33
    assessment_id = Id("Assessment id.", attribute="assessment")
    org_id = Id("Organization id.", attribute="organization")
    status = Choice(STATUSES, "Candidate's status.", example="pending")
    candidate_email = common.CANDIDATE_EMAIL
    candidate_name = common.CANDIDATE_NAME
    external_id = common.EXTERNAL_ID
    metadata = Metadata("Your own data about the candidate.", example={"source": "careers page"})
    session_id = Id("Session id; null until the key is redeemed.", null=True)
    expires_at = Timestamp("Time when the key expires unless redeemed.")
    redeemed_at = Timestamp("Time when the key was redeemed.", null=True)
    completed_at = Timestamp("Time when the candidate completed the session; null if it expired.", null=True)
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time when the candidate, the invitation or the session last changed.")
    erasure_requested_at = Timestamp("Time when the candidate requested erasure.", null=True)
    decision = Choice(DECISIONS, "Current hiring decision.", example="advanced")
    decision_reason = String("Reason for the decision.", example="Careful, well-tested fix.", null=True)
    decision_finding_reason = String(FINDING_REASON, example="The result was reproduced.", null=True)
    decided_at = Timestamp("Time of the decision; null before the first one.", null=True)
    decided_by = Nested(Author, "Person or service account that decided; null if unknown.", null=True)
    invite = Nested(Invite, "The latest invitation.", dump_only=True, null=True)


def serialize_key(row: Any, reveals_key: bool) -> dict[str, Any]:
    """Build a Key from a row of models.candidates, masked unless `reveals_key` (R33)."""
    invite = {
        "state": row.invite_state,
        "attempts": row.invite_attempts,
        "lastError": row.invite_last_error,
        "sentAt": row_time(row.invite_sent_at),
    }
    decided_by = {
        "id": row_id(row.decided_by_id),
        "name": row.decided_by_name,
        "kind": "person" if row.decided_by_person else "serviceAccount",
    }
    created_at, redeemed_at = row_time(row.created_at), row_time(row.redeemed_at)
    changed_at = created_at, redeemed_at, row_time(row.updated_at), row_time(row.session_updated_at)
    return {
        "id": row_id(row.id),
        "key": row.key if reveals_key else MASKED_KEY,
        "assessmentId": row_id(row.assessment_id),
        "orgId": row_id(row.organization_id),
        "status": row.status,
        "candidateEmail": row.candidate_email,
        "candidateName": row.candidate_name,
        "externalId": row.external_id,
        "metadata": row_json(row.metadata) or {},
        "sessionId": row_id(row.session_id),
        "expiresAt": row_time(row.expires_at),
        "redeemedAt": redeemed_at,
        "completedAt": row_time(row.completed_at),
        "createdAt": created_at,
        "updatedAt": max(filter(None, changed_at)),
        "erasureRequestedAt": row_time(row.erasure_requested_at),
        "decision": row.decision,
        "decisionReason": row.decision_reason,
        "decisionFindingReason": row.decision_finding_reason,
        "decidedAt": row_time(row.decided_at),
        "decidedBy": decided_by if row.decided_by_id else None,
        "invite": invite if row.invite_state else None,
    }


def serialize_candidate(row: Any, reveals_key: bool) -> dict[str, Any]:
    """Build a Candidate from a row of models.candidates, with its key masked unless `reveals_key`."""
    return serialize_key(row, reveals_key) | {"assessmentTitle": row.assessment_title}


Keys = define_schema("Keys", "Candidate keys, oldest first.", keys=ListOf(Key, "Keys."))
KeyPage = define_schema(
    "KeyPage", "Candidate keys, by default oldest first.", CursorPageOf, keys=ListOf(Key, "Keys.")
)
RevokedKey = define_schema("RevokedKey", "The key is revoked.", Deleted)
