"""An assessment's compliance report."""

from rules.statistics.fairness import DECISIONS
from schemas.audit import ACTORS
from schemas.base import Schema, define_schema
from schemas.fields import Choice, Dict, Id, Integer, ListOf, Nested, Number, String
from schemas.timestamps import Timestamp

COUNT = Integer()


class UnreasonedDecision(Schema):
    """A hiring decision without a reason."""

    candidate_id = Id("Candidate id.", attribute="id")
    decision = Choice(DECISIONS, "Latest hiring decision.", example="rejected")
    decided_at = Timestamp("Time of the decision.")
    decided_by = String("Author's name.", attribute="decided_by.author.name", dump_default=None, null=True)


class Inconsistency(Schema):
    """A rejected candidate, and one who was advanced or hired with a lower total."""

    rejected_id = Id("Rejected candidate's id.")
    rejected_share = Number("Their total as a share of the highest possible total.", example=0.75)
    selected_id = Id("Selected candidate's id.")
    selected_share = Number("Their total as a share of the highest possible total.", example=0.5)


class Access(Schema):
    """Audit entries of one actor and one operation."""

    actor_name = String("Name of the person or token.", example="Bob Sample", null=True)
    actor_kind = Choice(ACTORS, "Kind of actor.", example="person")
    actor_id = Id("Id of the person or token.", null=True)
    action = String("Operation, by its operationId.", example="getSession")
    count = Integer("Number of entries.", example=12)
    last_at = Timestamp("Time of the latest entry.")


class ComplianceReport(Schema):
    """Decisions, scores, access, erasures and retention. Counts are numbers of candidates or scores."""

    decisions = Dict("Candidates by hiring decision.", values=COUNT, example={"rejected": 12, "hired": 1})
    without_reason = ListOf(UnreasonedDecision, "Decisions without a reason. Erasures delete reasons.")
    inconsistencies = ListOf(Inconsistency, "Decisions against the order of the totals, at most 1000 pairs.")
    scores = Dict("All scores by independence (R49).", values=COUNT, example={"notIndependent": 2})
    access = ListOf(Access, "Audit entries about the assessment and its candidates, except candidates' own.")
    erasures = Dict("Erasures: `done`, `requested`, `withoutDate`.", values=COUNT, example={"done": 1})
    due_erasures = Dict("Candidates by erasure day (UTC).", values=COUNT, example={"2026-10-01": 3})
    retention_days = Integer("Retention period; null if unlimited.", example=180, null=True)
    retention_text = String("The disclosure's line about retention.", example="Your data is erased …")
    retention_conflicts = ListOf(String(), "Additions that seem to contradict it.", example=[])
    disclosure_version = String("Current version of the disclosure.", example="2026-11-30+3fa9c1d2")
    disclosures = Dict(
        "Candidates by the version agreed to.", values=COUNT, example={"2026-11-30+3fa9c1d2": 12}
    )


Compliance = define_schema("Compliance", "The report.", compliance=Nested(ComplianceReport, "The report."))
