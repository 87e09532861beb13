"""A session's scores."""

from schemas.base import Author, Body, Deleted, Schema, define_response, define_schema
from schemas.common import ALWAYS_TRUE, EXAMPLE_EVENT_ID
from schemas.fields import Flag, Id, Integer, ListOf, Nested, Number, Pattern, String, Text
from schemas.queries import Filter, QueryInteger
from schemas.rubrics import Criterion
from schemas.timestamps import Timestamp

EXAMPLE_COMMENT = "Found the race by reading, then proved it."
SEEN_RUBRIC = Id(
    "The rubric that you scored with; 409 `rubric_changed` if the assessment has another one.",
    data_key="rubricId",
    load_default=None,
    null=True,
)
SEEN_VERSION = Integer(
    "The version of the rubric that you scored with; 409 `rubric_changed` if it is no longer current.",
    data_key="rubricVersion",
    min=1,
    max=2**31 - 1,
    load_default=None,
    example=1,
    null=True,
)
EVIDENCE = (
    r"(?:diff:[\s\S]+:-?[1-9][0-9]*|test:[\s\S]+|(?!diff:|test:)[\s\S]{1,255})",
    "Must be an event's id, `diff:<path>:<line>` or `test:<name>`.",
)
EVIDENCE_TEXT = (
    "the id of an event; `diff:<path>:<line>`, a line of the final diff's new file, or of the old file with `-<line>`; "
    "`test:<name>`, a hidden test."
)


class ScoreQuery(Filter):
    """Rubric version to get."""

    version = QueryInteger("Rubric version; by default, the one used last.", min=1, max=2**31 - 1)


class NewScore(Body):
    """A reviewer's score for a criterion."""

    value = Integer("Value within the criterion's scale.", min=0, max=1000, example=2, required=True)
    comment = Text(5000, "Reason.", load_default=None, example=EXAMPLE_COMMENT, null=True)
    evidence = ListOf(
        Pattern(*EVIDENCE, max=4096),
        f"References: {EVIDENCE_TEXT} Lines and tests are not looked up.",
        max=100,
        load_default=list,
        example=["diff:src/app.py:12", "test:test_retries"],
    )
    reason = Text(2000, "Reason for the revision.", load_default=None, example="Reread the tests.", null=True)
    seen_rubric = SEEN_RUBRIC
    seen_version = SEEN_VERSION
    seen_score = Id(
        "Id of the score that you replace; 409 `score_changed` if it is no longer current.",
        data_key="replaces",
        load_default=None,
        null=True,
    )


class BatchScore(NewScore):
    """A reviewer's score for a criterion, or their recommendation."""

    class Meta(NewScore.Meta):
        exclude = ("seen_rubric", "seen_version")

    criterion = String("Criterion key, or `recommendation`.", min=1, max=63, example="quality", required=True)


class NewScores(Body):
    """Scores for several criteria."""

    scores = ListOf(
        BatchScore, "Scores for different criteria.", min=1, max=51, distinct="criterion", required=True
    )
    seen_rubric = SEEN_RUBRIC
    seen_version = SEEN_VERSION


class Withdrawal(Body):
    """The reason for a withdrawal."""

    reason = Text(2000, "Reason.", load_default=None, example="Not the candidate's work.", null=True)


class Score(Schema):
    """A reviewer's score for a criterion."""

    id = Id("Unique id.")
    criterion = String("The criterion's key.", example="problem-solving")
    rubric_version = Integer("Rubric version.", attribute="rubric_version.number", example=1)
    value = Integer("Score.", example=3)
    comment = String("Reason.", example=EXAMPLE_COMMENT, null=True)
    evidence = ListOf(String(), f"References: {EVIDENCE_TEXT}", example=[EXAMPLE_EVENT_ID])
    reviewer = Nested(Author, "Reviewer.", attribute="reviewer.author")
    reason = String("Reason for the revision.", example="Reread the tests.", null=True)
    created_at = Timestamp("Time when it was submitted.")
    withdrawn_at = Timestamp("Time when it was withdrawn.", null=True)
    withdrawal_reason = String("Reason for the withdrawal.", example="Not the candidate's work.", null=True)
    independent = Flag(
        "False if the reviewer could see another reviewer's score of the session when they submitted it.",
        example=True,
    )


ScoreResponse = define_response("score", Score, "The current score.")
RevealedScores = define_schema("RevealedScores", "The scores are visible.", ok=ALWAYS_TRUE)
WithdrawnScore = define_schema("WithdrawnScore", "The score is withdrawn but stays in the history.", Deleted)


class ScoredCriterion(Criterion):
    """A criterion with the reviewers' current scores, their mean and history."""

    lowest = Integer("The scale's lowest value.", example=1)
    highest = Integer("The scale's highest value.", example=3)
    mean = Number("Mean of the current values, with 3 decimals; null without scores.", example=2.5, null=True)
    spread = Integer("Highest minus lowest current value; null without scores.", example=1, null=True)
    disagreement = Flag("True if current values are at least 2 levels apart.", example=False)
    scores = ListOf(Score, "The reviewers' current scores in this rubric version, newest first.")
    score = Nested(Score, "The newest current score; null without scores.", null=True)
    history = ListOf(Score, "The criterion's scores in all versions, newest first.")


class Recommendation(ScoredCriterion):
    """The reviewers' overall recommendations, from 1 (strong no) to 4 (strong yes), in the form of a criterion."""

    class Meta(ScoredCriterion.Meta):
        exclude = ("description", "weight")


class ScoringRubric(Schema):
    """The rubric version of a session's scores."""

    id = Id("Rubric id.")
    name = String("Name in this version.", example="Backend engineers")
    version = Integer("Version.", example=1)


class Scores(Schema):
    """A session's scores in one rubric version. Without a rubric and scores, `criteria` is empty."""

    rubric = Nested(ScoringRubric, "The rubric of these scores; null without a rubric and scores.", null=True)
    rubric_id = Id("Rubric id.", null=True)
    rubric_name = String("Rubric name in this version.", example="Backend engineers", null=True)
    rubric_version = Integer("Rubric version.", example=1, null=True)
    current_rubric_version = Integer(
        "Current version, which new scores use; null without a rubric.", example=1, null=True
    )
    criteria = ListOf(ScoredCriterion, "Criteria in this version.")
    recommendation = Nested(Recommendation, "Recommendations, which are not part of the total.", null=True)
    total = Number(
        "Weighted sum of the means, with 3 decimals; null if a criterion has no score.", example=6, null=True
    )
    lowest_total = Number("Lowest possible total.", example=2, null=True)
    highest_total = Number("Highest possible total.", example=6, null=True)
    others_hidden = Flag(
        "True if other reviewers' scores are hidden until the caller has scored every criterion or chooses to see "
        "them, or the candidate has a hiring decision.",
        example=False,
    )
    reviewer_count = Integer(
        "Number of reviewers with a current score, including hidden ones, in the requested version or the one in which "
        "the session was last scored.",
        example=2,
    )
