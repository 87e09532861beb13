"""The candidates of an organization, over all its assessments."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from schemas import Body, Flag, Id, PageOf, PageQuery, Schema, Text, described
from schemas.keys import STATUSES, Email, Key, Metadata


class CandidateQuery(PageQuery):
    """Which candidates."""

    status = fields.String(
        validate=validate.OneOf(STATUSES),
        metadata=described("Only candidates that stand here.", "completed", enum=list(STATUSES)),
    )
    assessment_id = Id(metadata=described("Only candidates of this assessment."))
    after = Id(
        metadata=described(
            "Only candidates behind this one in the list: the id of the last that you have read. Pages are found at "
            "the same cost however far they are behind, and none is missed or read twice where others are revoked "
            "meanwhile."
        )
    )
    q = fields.String(
        validate=validate.Length(max=255),
        metadata=described(
            "Only candidates whose name or address contains this, in any letter case.", "alice"
        ),
    )
    format = fields.String(
        load_default="json",
        validate=validate.OneOf(["json", "csv"]),
        metadata=described("`csv` answers the whole list as a file.", "json", enum=["json", "csv"]),
    )


class Candidate(Key):
    """A candidate key with its assessment's title."""

    assessment_title = fields.String(metadata=described("The assessment's title.", "Backend API Challenge"))


class Candidates(PageOf):
    """A page of candidates, oldest first."""

    candidates = fields.List(fields.Nested(Candidate), metadata=described("The candidates of this page."))


class CandidateChange(Body):
    """What a reviewer decides or knows about a candidate; an explicit null clears."""

    is_change = True

    hired = Flag(metadata=described("Whether the candidate was hired; false takes it back.", True))
    candidate_name = Text(
        255, one_line=True, allow_none=True, metadata=described("Display name.", "Alice Liddell")
    )
    candidate_email = Email(
        allow_none=True,
        validate=validate.Length(max=254),
        metadata=described(
            "Email address. Nothing is sent to it by itself; what waits goes there.", "alice@example.com"
        ),
    )
    external_id = Text(
        255,
        one_line=True,
        allow_none=True,
        metadata=described("What your own system calls the candidate.", "applicant-4711"),
    )
    metadata = Metadata(
        allow_none=True,
        metadata=described(
            "Whatever else you keep with the candidate: at most 20 texts of up to 500 characters. It replaces what "
            "was there.",
            {"source": "careers page"},
        ),
    )

    @ma.validates_schema
    def says_something(self, data: dict, **kwargs: Any) -> None:
        if not data:
            raise ma.ValidationError("This, or another member that can be changed, is required.", "hired")


class OneCandidate(Schema):
    """One candidate."""

    candidate = fields.Nested(Candidate, metadata=described("The candidate."))
