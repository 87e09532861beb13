"""Scoring rubrics."""

from marshmallow.validate import NoneOf, Range

from rules.statistics.scoring import RECOMMENDATION
from schemas.base import Body, Deleted, PageOf, Schema, define_response, define_schema
from schemas.fields import Id, Integer, Line, ListOf, Number, Pattern, String, Text
from schemas.timestamps import Timestamp

EXAMPLE_LEVELS = [
    {"value": 1, "label": "Weak", "description": "Changes code until the symptom is gone."},
    {"value": 3, "label": "Solid", "description": "Finds the cause and fixes it."},
]
KEY = (
    "[a-z][a-z0-9_-]{0,62}",
    "Must be 1 to 63 lowercase letters, digits, hyphens or underscores, starting with a letter.",
)
WEIGHT_RANGE = Range(0, 1_000_000, min_inclusive=False, error="Must be a number above 0 and at most 1000000.")


class Level(Body):
    """A level of a criterion's scale."""

    value = Integer("Score.", min=0, max=1000, example=3, required=True)
    label = Line(100, "Label.", example="Solid", required=True)
    description = Text(2000, "Requirements for this level.", example="Finds the cause and fixes it.")


class Criterion(Body):
    """A criterion that reviewers score."""

    key = Pattern(
        *KEY,
        "Identifier in URLs; not `recommendation`, which is in every scorecard.",
        validate=NoneOf([RECOMMENDATION["key"]], error="`recommendation` is reserved. Choose another key."),
        example="problem-solving",
        required=True,
    )
    title = Text(255, "Title.", example="Problem solving", required=True)
    description = Text(2000, "Guidance for reviewers.", example="From symptom to cause.")
    weight = Number("Relative weight, above 0.", validate=WEIGHT_RANGE, load_default=1, example=2)
    levels = ListOf(Level, "Levels.", min=2, max=10, distinct="value", required=True, example=EXAMPLE_LEVELS)


class NewRubric(Body):
    """A new rubric."""

    name = Text(255, "Name.", example="Backend engineers", required=True)
    criteria = ListOf(Criterion, "Criteria with distinct keys.", min=1, max=50, distinct="key", required=True)


class RubricUpdate(Body):
    """Changes to a rubric, saved as its next version. New criteria replace all existing ones."""

    is_update = True

    name = Text(255, "Name.", example="Backend engineers")
    criteria = ListOf(Criterion, "Criteria with distinct keys.", min=1, max=50, distinct="key")


class Rubric(Schema):
    """A scoring rubric."""

    id = Id("Unique id.")
    name = String("Name.", example="Backend engineers")
    version = Integer("Version, from 1.", example=1)
    criteria = ListOf(Criterion, "Criteria.")
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time of the last change.")


RubricResponse = define_response("rubric", Rubric, "The rubric.")
Rubrics = define_schema("Rubrics", "Rubrics, oldest first.", PageOf, rubrics=ListOf(Rubric, "Rubrics."))
DeletedRubric = define_schema("DeletedRubric", "The rubric is deleted.", Deleted)
