"""What candidates' clients send and read (client contract, sections 3 and 5)."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rules.event_signatures import is_public_key
from rules.timestamps import parse_timestamp_ns
from schemas import EXAMPLE_ID, Body, Filter, Id, Schema, Timestamp, described
from schemas.issues import EXAMPLE_BRIEF, EXAMPLE_SHA

KEY_EXAMPLE = "PST-ABCD-EFGH"


def candidate_key(**kwargs: Any) -> fields.String:
    return fields.String(metadata=described("The candidate key, in any letter case.", KEY_EXAMPLE), **kwargs)


class ConsentQuery(Filter):
    """Whose consent; the header `X-API-Key` does as well."""

    key = candidate_key()


class Disclosure(Schema):
    """What is recorded, and what is not."""

    version = fields.String(metadata=described("Its version.", "2026-11"))
    captures = fields.List(
        fields.String(), metadata=described("What is recorded.", ["Commands, with their exit codes"])
    )
    does_not_capture = fields.List(
        fields.String(), metadata=described("What is not.", ["Your screen, camera or microphone"])
    )
    evaluated = fields.List(
        fields.String(), metadata=described("What reviewers look at.", ["How you understand, plan and check"])
    )
    data_use = fields.List(
        fields.String(), metadata=described("What the data is used for.", ["To assess this application"])
    )
    tos_url = fields.String(
        allow_none=True, metadata=described("Address of the terms.", "https://example.com/terms")
    )


class ConsentState(Schema):
    """What the candidate is asked to agree to, and whether that has happened."""

    already_confirmed = fields.Boolean(
        metadata=described("Whether the candidate agreed to this text.", False)
    )
    disclosure_hash = fields.String(
        metadata=described("To be sent back with the agreement.", "9f86d081884c7d65")
    )
    disclosure = fields.Nested(Disclosure, metadata=described("The text."))
    assessment_title = fields.String(metadata=described("The assessment.", "Backend API Challenge"))
    org_name = fields.String(metadata=described("Who invites.", "Example Ltd"))
    time_limit_minutes = fields.Integer(allow_none=True, metadata=described("The time limit.", 90))
    status = fields.String(metadata=described("Where the key stands.", "pending"))
    expires_at = Timestamp(metadata=described("Until when the key can be redeemed."))


class NewConsent(Body):
    """The candidate agrees."""

    key = candidate_key(required=True)
    disclosure_hash = fields.String(
        validate=validate.Length(max=255),
        metadata=described("The hash of the text that was shown; left out if the client showed its own."),
    )


class Confirmed(Schema):
    """The agreement is recorded."""

    ok = fields.Boolean(metadata=described("Always true.", True))


class NewSession(Body):
    """Redeem a key."""

    key = candidate_key(required=True)
    signing_pub_key = fields.String(
        metadata=described(
            "Base64 of the 32 bytes of an Ed25519 public key.", "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
        )
    )

    @ma.validates("signing_pub_key")
    def is_a_public_key(self, value: str, **kwargs: Any) -> None:
        if value and not is_public_key(value):
            raise ma.ValidationError("Must be the base64 of a 32-byte Ed25519 public key.")


class RedeemedSession(Schema):
    """The session that a key began, with everything that the client needs to work on it."""

    session_id = Id(metadata=described("The session."))
    session_token = fields.String(
        metadata=described("What the client sends as X-API-Key from now on.", KEY_EXAMPLE)
    )
    assessment_id = Id(metadata=described("The assessment."))
    assessment_title = fields.String(metadata=described("Its title.", "Backend API Challenge"))
    org_name = fields.String(metadata=described("Who invited.", "Example Ltd"))
    task_brief = fields.String(metadata=described("The task.", EXAMPLE_BRIEF))
    brief = fields.Dict(
        allow_none=True,
        metadata=described("The task in a structured form, if there is one.", {"scenario": EXAMPLE_BRIEF}),
    )
    repo_url = fields.String(
        allow_none=True, metadata=described("The repository.", "https://github.com/example/orders")
    )
    repo_commit = fields.String(allow_none=True, metadata=described("The commit to begin from.", EXAMPLE_SHA))
    repo_subdir = fields.String(
        allow_none=True, metadata=described("The folder to work in.", "services/orders")
    )
    setup_instructions = fields.String(
        allow_none=True, metadata=described("How to set it up.", "go mod download")
    )
    time_limit_minutes = fields.Integer(allow_none=True, metadata=described("The time limit.", 90))
    issue_id = Id(allow_none=True, metadata=described("The issue that the task comes from."))
    expires_at = Timestamp(
        allow_none=True,
        metadata=described(
            "When the client throws away its local state: the limit's close plus 24 hours, or null."
        ),
    )
    tos_accepted = fields.Boolean(
        metadata=described("Always true: there is no session without consent.", True)
    )
    allowed_tools = fields.List(
        fields.String(),
        allow_none=True,
        metadata=described("The tools that may be used; null for all.", ["claude"]),
    )


class Completion(Body):
    """The candidate is done."""

    key = candidate_key(required=True)
    session_id = fields.String(
        required=True, metadata=described("The session, as redeem answered it.", EXAMPLE_ID)
    )


class Completed(Schema):
    """The session is closed."""

    ok = fields.Boolean(metadata=described("Always true.", True))
    completed_at = Timestamp(metadata=described("When it was completed."))


class Nanoseconds(fields.String):
    """An exact instant: RFC 3339 outside, nanoseconds since 1970 inside."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        try:
            return parse_timestamp_ns(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as error:
            raise ma.ValidationError(str(error)) from None


class Envelope(Body):
    """One event. Unknown kinds and members are kept as they come."""

    verbatim = ("data", "rawPayload")

    id = fields.String(
        required=True,
        validate=validate.Length(min=1, max=255),
        metadata=described(
            "The event's id; sent again it counts once.", "0b4c5c1e-7b1f-4c55-9d57-1f3f7f8b7a01"
        ),
    )
    kind = fields.String(
        required=True, validate=validate.Length(min=1), metadata=described("What happened.", "command")
    )
    ts = Nanoseconds(
        required=True,
        metadata=described("When, RFC 3339 with 0 to 9 fractional digits.", "2026-04-02T09:12:44.123456789Z"),
    )
    v = fields.Integer(required=True, strict=True, metadata=described("The envelope's version.", 1))
    data = fields.Dict(
        required=True, metadata=described("What belongs to this kind.", {"command": "pytest", "exitCode": 0})
    )
    session_id = fields.String(metadata=described("The session; must be the credential's own.", EXAMPLE_ID))
    source = fields.Raw(
        metadata=described(
            "Where it was seen, a word or an object.", "terminal", type=["string", "object", "null"]
        )
    )


EXAMPLE_EVENT = {
    "id": "0b4c5c1e-7b1f-4c55-9d57-1f3f7f8b7a01",
    "kind": "command",
    "ts": "2026-04-02T09:12:44.123456789Z",
    "v": 1,
    "data": {"command": "pytest", "exitCode": 0},
}


class EnvelopeBatch(Body):
    """Several events. Each is judged by itself."""

    each_by_itself = "events"

    events = fields.List(
        fields.Raw(metadata=described("An envelope, as `POST /v1/hooks/ingest` takes it.", type="object")),
        required=True,
        validate=validate.Length(min=1, max=500),
        metadata=described("The envelopes, at most 500.", [EXAMPLE_EVENT]),
    )


class IngestedEvent(Schema):
    """What became of one event of a batch."""

    id = fields.String(allow_none=True, metadata=described("Its id; null where it has none.", EXAMPLE_ID))
    status = fields.String(
        metadata=described(
            "`created`, `skipped` (its id was there already), `late` (stored, counts in nothing) or `refused`.",
            "created",
            enum=["created", "skipped", "late", "refused"],
        )
    )
    error = fields.String(
        metadata=described("Why it was refused.", "ts: Not an RFC 3339 time.", sometimes=True)
    )


class IngestedBatch(Schema):
    """What became of each event, in their order."""

    results = fields.List(fields.Nested(IngestedEvent), metadata=described("One entry for each event."))


class Ingested(Schema):
    """The event is stored for good."""

    ok = fields.Boolean(metadata=described("Always true.", True))
    skipped = fields.Boolean(
        metadata=described("True where the id was there already.", False, sometimes=True)
    )
    late = fields.Boolean(
        metadata=described("True where it came too late to count in the numbers.", False, sometimes=True)
    )
