"""Candidates across all assessments."""

from typing import Any

from rules.statistics.fairness import DECISIONS
from schemas import common
from schemas.base import Body, PageOf, Schema, define_response, define_schema
from schemas.fields import Choice, Email, Flag, Id, Integer, Line, ListOf, String, Text, parse_id
from schemas.keys import EXTERNAL_ID, FINDING_REASON, STATUSES, Key, Metadata
from schemas.queries import CREATED_AFTER, UPDATED_AFTER, After, Filter, PageQuery


class AfterCandidate(After):
    """A cursor, or the id of the last candidate of the previous page."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        return parse_id(value) or super()._deserialize(value, attr, data, **kwargs)


class CandidateFilter(Filter):
    """Filters for candidates."""

    status = Choice(STATUSES, "Only candidates with this status.")
    assessment_id = Id("Only this assessment's candidates.")
    external_id = Line(255, "Only candidates with this `externalId`.")
    q = String("Only candidates whose name, address or `externalId` contains this, ignoring case.", max=255)
    created_after = CREATED_AFTER
    updated_after = UPDATED_AFTER


class CandidateQuery(CandidateFilter, PageQuery):
    """Filters and paging for candidates."""

    after = AfterCandidate(
        "The previous page's `next`, or the id of its last candidate. Revocations between pages neither skip nor "
        "repeat a candidate."
    )


class Candidate(Key):
    """A candidate key with its assessment's title."""

    assessment_title = common.ASSESSMENT_TITLE


Candidates = define_schema(
    "Candidates",
    "Candidates, oldest first.",
    PageOf,
    candidates=ListOf(Candidate, "Candidates."),
    total=Integer("Total number of entries.", example=47),
)


class CandidateUpdate(Body):
    """Changes to a candidate; null clears a field."""

    is_update = True

    hired = Flag("True if the candidate was hired; false restores the previous status.", example=True)
    candidate_name = Line(255, "Display name.", example="Alice Liddell", null=True)
    candidate_email = Email("Email address, also for queued messages.", example="ada@example.com", null=True)
    external_id = Line(255, EXTERNAL_ID, example="applicant-4711", null=True)
    metadata = Metadata(
        "Your own data. Replaces all existing metadata.", example={"source": "careers page"}, null=True
    )


class NewDecision(Body):
    """A hiring decision."""

    decision = Choice(DECISIONS, "Decision.", example="advanced", required=True)
    reason = Text(2000, "Reason.", load_default=None, example="Careful, well-tested fix.", null=True)
    finding_reason = Text(
        2000, FINDING_REASON, load_default=None, example="The result was reproduced.", null=True
    )


class DecisionQuery(Filter):
    """The decision to check."""

    decision = Choice(DECISIONS, "Decision.", example="rejected", required=True)


class DecisionWarning(Schema):
    """A warning about a decision."""

    code = Choice(
        ["lower_total", "missing_scores", "findings", "results_changed"],
        "`lower_total`: a rejected candidate has a higher total than an advanced or hired one. `results_changed`: "
        "findings can change the results.",
        example="lower_total",
    )
    message = String("Explanation.", example="Candidates rejected with a higher total: 1.")
    session_ids = ListOf(Id(), "Sessions with the opposite decision, for `lower_total`.", optional=True)
    finding_codes = ListOf(String(), "Codes of the findings.", example=["call_not_recorded"], optional=True)


DecisionWarnings = define_schema(
    "DecisionWarnings",
    "Warnings about a decision.",
    warnings=ListOf(DecisionWarning, "Warnings; empty without a session."),
)


CandidateResponse = define_response("candidate", Candidate, "The candidate.")
