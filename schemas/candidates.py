"""Candidates of an organization, across its assessments."""

from typing import Any

import marshmallow as ma

from rules.fairness import DECISIONS
from schemas import members
from schemas.base import Body, PageOf, shape
from schemas.fields import Choice, Email, Flag, Id, Line, ListOf, Nested, String, Text
from schemas.keys import EXTERNAL_ID, STATUSES, Key, Metadata
from schemas.queries import PageQuery


class CandidateQuery(PageQuery):
    """Filter of candidates."""

    status = Choice(STATUSES, "Only candidates with this status.")
    assessment_id = Id("Only candidates of this assessment.")
    after = Id(
        "Only candidates after this one: the id of the last one read. Each page costs the same, and revocations "
        "meanwhile neither skip nor repeat a candidate."
    )
    external_id = Line(255, "Only candidates with this `externalId`.")
    q = String(
        "Only candidates whose name, address or `externalId` contains this, in any letter case.", max=255
    )
    format = Choice(["json", "csv"], "`csv` returns the whole list as a file.", load_default="json")


class Candidate(Key):
    """A candidate key with its assessment's title."""

    assessment_title = members.ASSESSMENT_TITLE


Candidates = shape(
    "Candidates", "Candidates, oldest first.", PageOf, candidates=ListOf(Candidate, "Candidates.")
)


class CandidateChange(Body):
    """Changes of a candidate; null clears."""

    is_change = True

    hired = Flag("Whether the candidate was hired; false restores the previous status.", example=True)
    candidate_name = Line(255, "Display name.", example="Alice Liddell", null=True)
    candidate_email = Email("Address, also for queued messages.", example="alice@example.com", null=True)
    external_id = Line(255, EXTERNAL_ID, example="applicant-4711", null=True)
    metadata = Metadata("Your own data; replaced as a whole.", example={"source": "careers page"}, null=True)

    @ma.validates_schema
    def check_not_empty(self, data: dict, **kwargs: Any) -> None:
        if not data:
            raise ma.ValidationError("At least one member to change is required.", "hired")


class NewDecision(Body):
    """Decision about a candidate."""

    decision = Choice(DECISIONS, "Decision.", example="advanced", required=True)
    reason = Text(2000, "Reason.", load_default=None, example="Careful, well tested fix.", null=True)


OneCandidate = shape("OneCandidate", "One candidate.", candidate=Nested(Candidate, "The candidate."))
