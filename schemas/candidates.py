"""Candidates of an organization, across its assessments."""

from typing import Any

from rules.statistics.fairness import DECISIONS
from schemas import common
from schemas.base import Body, PageOf, shape
from schemas.fields import Choice, Email, Flag, Id, Integer, Line, ListOf, Nested, String, Text, parse_id
from schemas.keys import EXTERNAL_ID, STATUSES, Key, Metadata
from schemas.queries import UNDOCUMENTED, After, Filter, PageQuery, created_after, updated_after


class AfterCandidate(After):
    """A cursor, or the id of the last candidate of the previous page."""

    description = (
        "The `next` of the previous page, or the id of the last candidate read. Revocations in between neither "
        "skip nor repeat a candidate."
    )

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        return parse_id(value) or super()._deserialize(value, attr, data, **kwargs)


class CandidateFilter(Filter):
    """Filter of candidates."""

    status = Choice(STATUSES, "Only candidates with this status.")
    assessment_id = Id("Only candidates of this assessment.")
    external_id = Line(255, "Only candidates with this `externalId`.")
    q = String(
        "Only candidates whose name, address or `externalId` contains this, in any letter case.", max=255
    )
    created_after = created_after()
    updated_after = updated_after()


class CandidateQuery(CandidateFilter, PageQuery):
    """Part of the list of candidates."""

    after = AfterCandidate()
    format = Choice(["json", "csv"], "`csv`: like the export.", load_default="json", openapi=UNDOCUMENTED)


class Candidate(Key):
    """A candidate key with its assessment's title."""

    assessment_title = common.ASSESSMENT_TITLE


Candidates = shape(
    "Candidates",
    "Candidates, oldest first.",
    PageOf,
    candidates=ListOf(Candidate, "Candidates."),
    total=Integer("Number of entries in the whole list.", example=47),
)


class CandidateChange(Body):
    """Changes of a candidate; null clears."""

    is_change = True

    hired = Flag("True if the candidate was hired; false restores the previous status.", example=True)
    candidate_name = Line(255, "Display name.", example="Alice Liddell", null=True)
    candidate_email = Email("Address, also for queued messages.", example="alice@example.com", null=True)
    external_id = Line(255, EXTERNAL_ID, example="applicant-4711", null=True)
    metadata = Metadata("Your own data; replaced as a whole.", example={"source": "careers page"}, null=True)


class NewDecision(Body):
    """Decision about a candidate."""

    decision = Choice(DECISIONS, "Decision.", example="advanced", required=True)
    reason = Text(2000, "Reason.", load_default=None, example="Careful, well tested fix.", null=True)


OneCandidate = shape("OneCandidate", "One candidate.", candidate=Nested(Candidate, "The candidate."))
