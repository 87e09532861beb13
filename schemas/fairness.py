"""Selection rates of candidate groups."""

from typing import Any

import marshmallow as ma

from rules.statistics.fairness import MIN_DECIDED
from schemas.base import Body, Schema, define_schema
from schemas.fields import Dict, Flag, Integer, Line, ListOf, Number, String

MAX_GROUPS = 100


class NewFairnessReport(Body):
    """Candidates' groups. They are neither stored nor logged."""

    groups = Dict(
        "Each candidate's group, by candidate id or `externalId`.",
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
    """A group's selection rate."""

    group = String("Group.", example="Group B")
    decided = Integer("Candidates who were advanced, rejected or hired.", example=20)
    selected = Integer("Candidates who were advanced or hired.", example=9)
    rate = Number("Selection rate: selected / decided.", example=0.45)
    impact_ratio = Number("Rate / highest rate; null if no candidate was selected.", example=0.75, null=True)
    below_four_fifths = Flag("True if the unrounded impact ratio is below 4/5.", example=True)
    p_value = Number(
        "Two-sided Fisher's exact test against the group with the highest rate, for which it is null.",
        example=0.527254,
        null=True,
    )


FairnessReport = define_schema(
    "FairnessReport",
    "Selection rates by group.",
    groups=ListOf(GroupComparison, "Groups by name, excluding suppressed ones."),
    suppressed=ListOf(
        String(),
        f"Groups with fewer than {MIN_DECIDED} decided candidates, and groups whose numbers would reveal theirs.",
        example=["Group C", "Group D"],
    ),
    unknown=Integer("The assessment's decided candidates without a group.", example=2),
)
