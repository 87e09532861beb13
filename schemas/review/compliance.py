"""An assessment's compliance report."""

from rules.statistics.fairness import DECISIONS
from schemas.audit import ACTORS
from schemas.base import Schema, define_schema
from schemas.fields import Choice, Dict, Flag, Id, Integer, ListOf, Nested, Number, String
from schemas.timestamps import Timestamp


class UnreasonedDecision(Schema):
    """A hiring decision without a reason."""

    candidate_id = Id("Candidate id.")
    decision = Choice(DECISIONS, "Latest hiring decision.", example="rejected")
    decided_at = Timestamp("Time of the decision.", null=True)
    decided_by = String("Name of the person or service account.", example="Bob Sample", null=True)


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


class DueErasure(Schema):
    """Candidates whose data is erased from this day on."""

    date = String("Day (UTC).", example="2026-10-01")
    candidates = Integer("Number of candidates.", example=3)


class AgreedDisclosure(Schema):
    """A version of the disclosure."""

    version = String("Version, if known.", example="2026-11-30+3fa9c1d2", null=True)
    current = Flag("True for the current version.", example=True)
    candidates = Integer("Candidates who agreed to it last.", example=12)


class ComplianceReport(Schema):
    """Decisions, scores, access, erasures and retention."""

    decisions = Dict("Candidates by hiring decision.", values=Integer(), example={"rejected": 12, "hired": 1})
    without_reason = ListOf(UnreasonedDecision, "Decisions without a reason. Erasures delete reasons.")
    inconsistencies = ListOf(Inconsistency, "Decisions against the order of the totals.")
    scores = Dict(
        "Scores by independence (R49), including revised and withdrawn ones.",
        values=Integer(),
        example={"independent": 118, "notIndependent": 2},
    )
    access = ListOf(Access, "Audit entries about the assessment and its candidates, except candidates' own.")
    erasures = Dict(
        "Candidates whose data was erased, who requested erasure, and whose data has no erasure date yet.",
        values=Integer(),
        example={"done": 1, "requested": 1, "withoutDate": 2},
    )
    due_erasures = ListOf(DueErasure, "Due erasures, earliest first.")
    retention_days = Integer(
        "Days to keep data after the session ends; null if unlimited.", example=180, null=True
    )
    retention_text = String(
        "The disclosure's line about retention.", example="Your data is erased 180 days …"
    )
    retention_conflicts = ListOf(
        String(), "Additions to the disclosure that seem to contradict it.", example=[]
    )
    disclosures = ListOf(AgreedDisclosure, "Versions of the disclosure that candidates agreed to.")


Compliance = define_schema(
    "Compliance", "The compliance report.", compliance=Nested(ComplianceReport, "The report.")
)
