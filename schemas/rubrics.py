"""Scoring rubrics, in and out."""

from typing import Any

from marshmallow import fields, validate

from schemas import Body, Count, Deleted, Distinct, Id, PageOf, Schema, Text, Timestamp, described

LEVELS_LEAST, LEVELS_MOST, CRITERIA_MOST = 2, 10, 50
CRITERIA = [validate.Length(min=1, max=CRITERIA_MOST), Distinct("key")]


class Level(Body):
    """One step of a criterion's scale."""

    value = Count(0, 1000, required=True, metadata=described("The score.", 3))
    label = Text(100, one_line=True, required=True, metadata=described("What the step is called.", "Solid"))
    description = Text(
        2000, metadata=described("What it takes to reach it.", "Finds the cause and fixes it.")
    )


class Weight(fields.Float):
    """A number above zero; texts and booleans are refused."""

    def __init__(self, **kwargs: Any):
        super().__init__(validate=validate.Range(min=0, min_inclusive=False, max=1_000_000), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Criterion(Body):
    """One aspect that reviewers score."""

    key = fields.String(
        required=True,
        validate=validate.Regexp(
            r"[a-z][a-z0-9_-]{0,62}\Z",
            error="Must be 1 to 63 lower-case letters, digits, hyphens or underscores, a letter first.",
        ),
        metadata=described("Its name in addresses.", "problem-solving"),
    )
    title = Text(255, required=True, metadata=described("What it is called.", "Problem solving"))
    description = Text(2000, metadata=described("What reviewers look for.", "From symptom to cause."))
    weight = Weight(
        load_default=1,
        metadata=described("How much it counts against the others; any number above zero.", 2),
    )
    levels = fields.List(
        fields.Nested(Level),
        required=True,
        validate=[validate.Length(min=LEVELS_LEAST, max=LEVELS_MOST), Distinct("value")],
        metadata=described(
            "Its scale: 2 to 10 levels of different values.",
            [
                {"value": 1, "label": "Weak", "description": "Changes code until the symptom is gone."},
                {"value": 3, "label": "Solid", "description": "Finds the cause and fixes it."},
            ],
        ),
    )


class RubricBody(Body):
    """A rubric's name and criteria."""

    name = Text(255, required=True, metadata=described("What it is called.", "Backend engineers"))
    criteria = fields.List(
        fields.Nested(Criterion),
        required=True,
        validate=CRITERIA,
        metadata=described("What is scored: 1 to 50 criteria of different keys."),
    )


class NewRubric(RubricBody):
    """A new rubric."""


class RubricChange(RubricBody):
    """What changes; it becomes the next version, and what was scored with the earlier one stays."""

    is_change = True

    name = Text(255, metadata=described("What it is called.", "Backend engineers"))
    criteria = fields.List(
        fields.Nested(Criterion),
        validate=CRITERIA,
        metadata=described("What is scored, as a whole: 1 to 50 criteria of different keys."),
    )


class Rubric(Schema):
    """A scoring rubric."""

    id = Id(metadata=described("Its id."))
    name = fields.String(metadata=described("What it is called.", "Backend engineers"))
    version = fields.Integer(metadata=described("Which version this is, from 1.", 1))
    criteria = fields.List(fields.Nested(Criterion), metadata=described("What is scored."))
    created_at = Timestamp(metadata=described("When it was made."))
    updated_at = Timestamp(metadata=described("When it was last changed."))


class OneRubric(Schema):
    """One rubric."""

    rubric = fields.Nested(Rubric, metadata=described("The rubric."))


class Rubrics(PageOf):
    """A page of rubrics, oldest first."""

    rubrics = fields.List(fields.Nested(Rubric), metadata=described("The rubrics of this page."))


class DeletedRubric(Deleted):
    """The rubric is gone."""
