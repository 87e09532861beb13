"""Scores of a session."""

from schemas.base import Author, Body, Deleted, Schema, shape
from schemas.common import EXAMPLE_EVENT_ID
from schemas.fields import Flag, Id, Integer, ListOf, Nested, Number, String, Text
from schemas.queries import Filter, QueryInteger
from schemas.rubrics import Criterion
from schemas.timestamps import Timestamp

EXAMPLE_COMMENT = "Found the race by reading, then proved it."


class ScoreQuery(Filter):
    """Version of the rubric."""

    version = QueryInteger("Version of the rubric; by default the last one used.", min=1, max=2**31 - 1)


class NewScore(Body):
    """A reviewer's score of one criterion."""

    value = Integer("Value within the criterion's scale.", min=0, max=1000, example=2, required=True)
    comment = Text(5000, "Reason.", load_default=None, example=EXAMPLE_COMMENT, null=True)
    evidence = ListOf(String(min=1, max=255), "Ids of events.", max=100, load_default=list, example=[])
    reason = Text(
        2000,
        "Reason for the revision.",
        load_default=None,
        example="Read the tests again.",
        null=True,
    )
    seen_version = Integer(
        "The rubric's version that you scored by; 409 `rubric_changed` if it is no longer the current one.",
        data_key="rubricVersion",
        min=1,
        max=2**31 - 1,
        load_default=None,
        example=1,
        null=True,
    )
    seen_score = Id(
        "Id of your score that this one replaces; 409 `score_changed` if it is no longer your current one.",
        data_key="replaces",
        load_default=None,
        null=True,
    )


class Withdrawal(Body):
    """Reason for the withdrawal."""

    reason = Text(2000, "Reason.", load_default=None, example="Not the candidate's own work.", null=True)


class Score(Schema):
    """A score as given."""

    id = Id("Unique id.")
    criterion = String("Key of the criterion.", example="problem-solving")
    rubric_version = Integer("Version of the rubric.", attribute="rubric_version.number", example=1)
    value = Integer("Score.", example=3)
    comment = String("Reason.", example=EXAMPLE_COMMENT, null=True)
    evidence = ListOf(String(), "Ids of events that support the score.", example=[EXAMPLE_EVENT_ID])
    reviewer = Nested(Author, "Reviewer.", attribute="reviewer.author")
    reason = String("Reason for the revision.", example="Read the tests again.", null=True)
    created_at = Timestamp("Time when it was given.")
    withdrawn_at = Timestamp("Time when it was withdrawn.", null=True)
    withdrawal_reason = String(
        "Reason for the withdrawal.", example="Not the candidate's own work.", null=True
    )


OneScore = shape("OneScore", "One score.", score=Nested(Score, "The score, now the reviewer's current one."))
WithdrawnScore = shape("WithdrawnScore", "The score is withdrawn; it stays in the history.", Deleted)


class ScoredCriterion(Criterion):
    """A criterion with each reviewer's current score, their mean, and the history."""

    lowest = Integer("Lowest value of the scale.", example=1)
    highest = Integer("Highest value of the scale.", example=3)
    mean = Number("Mean of the reviewers' values, with 3 decimals; null without one.", example=2.5, null=True)
    spread = Integer("Highest minus lowest of these values; null without one.", example=1, null=True)
    disagreement = Flag("True if these values are 2 levels of the scale or more apart.", example=False)
    scores = ListOf(Score, "Each reviewer's current score in this version of the rubric, newest first.")
    score = Nested(Score, "The newest of these scores; null without one.", null=True)
    history = ListOf(Score, "Scores of this criterion in all versions, newest first.")


class ScoringRubric(Schema):
    """The rubric of a session's scores, in their version."""

    id = Id("Rubric id.")
    name = String("Name in this version.", example="Backend engineers")
    version = Integer("This version.", example=1)


class Scores(Schema):
    """A session's scores in one version of the rubric; without a rubric, no criteria and only nulls."""

    rubric = Nested(ScoringRubric, "The rubric; null if the assessment has none.", null=True)
    rubric_id = Id("Rubric id.", null=True)
    rubric_name = String("Name of the rubric in this version.", example="Backend engineers", null=True)
    rubric_version = Integer("This version.", example=1, null=True)
    current_rubric_version = Integer("Current version, for the next score.", example=1, null=True)
    criteria = ListOf(ScoredCriterion, "Criteria of this version.")
    total = Number(
        "Weighted sum of the means, with 3 decimals; null if one is missing.", example=6, null=True
    )
    lowest_total = Number("Total with the lowest value of each criterion.", example=2, null=True)
    highest_total = Number("Total with the highest value of each criterion.", example=6, null=True)
    others_hidden = Flag(
        "True if this shows and counts only the caller's scores, until they have scored every criterion.",
        example=False,
    )
    reviewer_count = Integer(
        "Number of reviewers with a score that counts in this version, hidden ones included.", example=2
    )
