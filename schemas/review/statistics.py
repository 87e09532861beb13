"""Statistics of an assessment's reviewers."""

from schemas.base import Author, Schema, define_schema
from schemas.fields import Integer, ListOf, Nested, Number, String


class ReviewerDifference(Schema):
    """A reviewer's difference from the others on one criterion."""

    key = String("The criterion's key.", example="problem-solving")
    title = String("Title.", example="Problem solving")
    compared_count = Integer("Sessions that another reviewer has scored on it, too.", example=4)
    difference = Number("Mean difference from the mean of the others; above 0 is higher.", example=0.25)


class ReviewerStatistics(Schema):
    """A reviewer's scores, as shares of the criteria's scales, with 3 decimals: 0 is the lowest level."""

    reviewer = Nested(Author, "Reviewer.")
    score_count = Integer("Number of scores.", example=24)
    mean = Number("Mean.", example=0.61)
    spread = Number("Standard deviation; null for a single score.", example=0.24, null=True)
    criteria = ListOf(ReviewerDifference, "Criteria that can be compared.")


Reviewers = define_schema(
    "Reviewers", "Reviewers by name.", reviewers=ListOf(ReviewerStatistics, "Reviewers.")
)
