"""What a candidate is told about the own data, and the receipt of its erasure."""

from marshmallow import fields

from schemas import EXAMPLE_ID, Id, Schema, Timestamp, described
from schemas.keys import STATUSES


class GivenConsent(Schema):
    """An agreement, as it was recorded."""

    disclosure_version = fields.String(
        allow_none=True,
        metadata=described(
            "The version of the text; null where the client showed a text of its own.", "2026-11-25"
        ),
    )
    disclosure_hash = fields.String(
        allow_none=True, metadata=described("The hash of the text.", "9f86d081884c7d65")
    )
    given_at = Timestamp(attribute="created_at", metadata=described("When."))


class Held(Schema):
    """One kind of what is held."""

    name = fields.String(metadata=described("Its name.", "events"))
    description = fields.String(metadata=described("What it is.", "What your tools reported."))
    count = fields.Integer(metadata=described("How many.", 214))
    since = Timestamp(metadata=described("When the first of them came."))
    until = Timestamp(metadata=described("When the last of them came."))


class CandidateData(Schema):
    """What is held of a candidate, by whom, and until when."""

    candidate_id = Id(metadata=described("The id of the candidate's key."))
    name = fields.String(allow_none=True, metadata=described("The candidate's name.", "Alice"))
    email = fields.String(
        allow_none=True, metadata=described("The candidate's address.", "alice@example.com")
    )
    org_name = fields.String(metadata=described("Who invited, and holds it.", "Example Ltd"))
    contact = fields.String(
        allow_none=True, metadata=described("Where to write to, if it was named.", "hiring@example.com")
    )
    assessment_title = fields.String(metadata=described("The assessment.", "Backend API Challenge"))
    session_id = Id(allow_none=True, metadata=described("The session, once the key is redeemed."))
    status = fields.String(metadata=described("Where it stands.", "completed", enum=list(STATUSES)))
    consents = fields.List(
        fields.Nested(GivenConsent), metadata=described("What the candidate agreed to, the first first.")
    )
    held = fields.List(
        fields.Nested(Held),
        metadata=described("What is held, by kind; a kind of which there is nothing is left out."),
    )
    retention_days = fields.Integer(
        allow_none=True,
        metadata=described("Days for which it is kept after the end; null where no limit is set.", 180),
    )
    retained_until = Timestamp(
        allow_none=True,
        metadata=described("Until when it is kept, as things stand; null where no date is set."),
    )
    erasure_requested_at = Timestamp(
        allow_none=True, metadata=described("When the candidate asked for its erasure.")
    )


class ErasureRequest(Schema):
    """The request is recorded; reviewers see it."""

    erasure_requested_at = Timestamp(metadata=described("When it was asked for first."))


class Receipt(Schema):
    """That a candidate's data was erased."""

    id = Id(metadata=described("Its id."))
    candidate_id = Id(attribute="key_id", metadata=described("The candidate key."))
    session_id = Id(allow_none=True, metadata=described("The session, if there was one; its numbers stay."))
    kind = fields.String(
        metadata=described(
            "Who wanted it: a reviewer, or the organization's retention.",
            "reviewer",
            enum=["reviewer", "retention"],
        )
    )
    reviewer_id = Id(allow_none=True, metadata=described("The token of the reviewer.", EXAMPLE_ID))
    erased_at = Timestamp(attribute="created_at", metadata=described("When."))
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata=described("In how many records something went, by kind.", {"events": 214, "keys": 1}),
    )


class OneReceipt(Schema):
    """The receipt of an erasure."""

    receipt = fields.Nested(Receipt, metadata=described("The receipt; the same one every time."))
