"""A session, as reviewers and its candidate see it."""

from marshmallow import fields

from schemas import Body, Count, Id, Schema, Text, Timestamp, described
from schemas.keys import STATUSES


class SealHead(Schema):
    """Where the server's seal stands."""

    head = fields.String(
        allow_none=True,
        metadata=described(
            "The head of the hash chain, in hexadecimal digits; null before the first seal.", "9f86d081" * 8
        ),
    )
    count = fields.Integer(metadata=described("How many events it closes.", 214))
    is_whole = fields.Boolean(metadata=described("Whether it closes every stored event.", True))


class Session(Schema):
    """A session; all members are at the top level, where the candidate's client looks for them."""

    id = Id(metadata=described("Its id."))
    assessment_id = Id(metadata=described("Its assessment."))
    key_id = Id(metadata=described("The candidate key that began it."))
    org_name = fields.String(metadata=described("The organization that invited.", "Example Ltd"))
    assessment_title = fields.String(metadata=described("The assessment's title.", "Backend API Challenge"))
    status = fields.String(metadata=described("Where it stands.", "active", enum=list(STATUSES[1:])))
    event_count = fields.Integer(metadata=described("Events that count.", 214))
    late_event_count = fields.Integer(metadata=described("Events that came too late to count.", 0))
    redeemed_at = Timestamp(metadata=described("When it began."))
    closes_at = Timestamp(
        allow_none=True, metadata=described("When the time limit, with 5 minutes of grace, closes it.")
    )
    closed_at = Timestamp(allow_none=True, metadata=described("When it closed."))
    completed_at = Timestamp(allow_none=True, metadata=described("When the candidate completed it."))
    retained_until = Timestamp(
        allow_none=True,
        metadata=described(
            "Until when what is personal is kept, as things stand; null where no date is set or it is gone."
        ),
    )
    seal = fields.Nested(
        SealHead,
        allow_none=True,
        metadata=described(
            "Where the server's seal stands; for the candidate once all of a closed session is sealed."
        ),
    )
    erasure_requested_at = Timestamp(
        allow_none=True, metadata=described("When the candidate asked for the erasure of the data.")
    )


class ReviewedSession(Session):
    """A session with what only reviewers see. For a candidate these members are missing."""

    candidate_name = fields.String(
        metadata=described("The candidate's name.", "Alice", sometimes=True), allow_none=True
    )
    candidate_email = fields.String(
        metadata=described("The candidate's address.", "alice@example.com", sometimes=True), allow_none=True
    )
    hired_at = Timestamp(
        allow_none=True, metadata=described("When the candidate was marked as hired.", sometimes=True)
    )
    metrics = fields.Dict(
        keys=fields.String(),
        allow_none=True,
        metadata=described(
            "The derived metrics by name; null while the session is open. Times in milliseconds, ratios with three "
            "decimals, tests as true, false or null. `derivationVersion` is that of the definition by which they were "
            "derived.",
            {
                "durationMs": 4320000,
                "promptCount": 38,
                "commandFailRate": 0.142,
                "testsPassed": True,
                "derivationVersion": 1,
            },
            sometimes=True,
        ),
    )
    erased_at = Timestamp(
        allow_none=True,
        metadata=described("When the candidate's data was erased; the numbers stay.", sometimes=True),
    )
    test_result = fields.Nested(
        "TestResult",
        allow_none=True,
        metadata=described("The result that a reviewer or an integration submitted.", sometimes=True),
    )


class TestResult(Body):
    """The result of tests that somebody ran on the candidate's work."""

    passed = Count(0, 2**31 - 1, required=True, metadata=described("How many tests passed.", 41))
    failed = Count(0, 2**31 - 1, required=True, metadata=described("How many tests failed.", 0))
    skipped = Count(0, 2**31 - 1, allow_none=True, metadata=described("How many tests were skipped.", 1))
    note = Text(
        2000,
        allow_none=True,
        metadata=described("Anything worth knowing about the run.", "Node 22, clean clone"),
    )
