"""Selection rates of groups of candidates."""

from typing import Any

import marshmallow as ma

from rules.statistics.fairness import MIN_DECIDED
from schemas.base import Body, Schema, shape
from schemas.fields import Dict, Flag, Integer, Line, ListOf, Number, String

MAX_GROUPS = 100


class NewFairnessReport(Body):
    """The candidates' groups. They are neither stored nor logged."""

    groups = Dict(
        "The group of each candidate, by candidate id or `externalId`.",
        keys=String(min=1, max=255),
        values=Line(100),
        example={"applicant-4711": "Group A", "applicant-4712": "Group B"},
        required=True,
    )

    @ma.validates("groups")
    def check_groups(self, groups: dict[str, str], **kwargs: Any) -> None:
        if len(set(groups.values())) > MAX_GROUPS:
            raise ma.ValidationError(f"Must have at most {MAX_GROUPS} different groups.")


class GroupComparison(Schema):
    """Selection rate of one group."""

    group = String("Group.", example="Group B")
    decided = Integer("Candidates who were advanced, rejected or hired.", example=20)
    selected = Integer("Candidates who were advanced or hired.", example=9)
    rate = Number("Selection rate: selected / decided.", example=0.45)
    impact_ratio = Number("Rate / highest rate; null if nobody was selected.", example=0.75, null=True)
    below_four_fifths = Flag("True if the exact impact ratio is below 4/5.", example=True)
    p_value = Number(
        "Fisher's exact test, two-sided, against the group with the highest rate; null for that group.",
        example=0.527254,
        null=True,
    )


FairnessReport = shape(
    "FairnessReport",
    "Selection rates of groups.",
    groups=ListOf(GroupComparison, "Groups by name, without the suppressed ones."),
    suppressed=ListOf(
        String(),
        f"Groups with fewer than {MIN_DECIDED} decided candidates, and those that would reveal them.",
        example=["Group C", "Group D"],
    ),
    unknown=Integer("Decided candidates of the assessment without a group.", example=2),
)
