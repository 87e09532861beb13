"""Scores of a session, in and out."""

from marshmallow import fields, validate

from schemas import Body, Count, Filter, Id, QueryNumber, Schema, Text, Timestamp, described
from schemas.rubrics import Criterion

EVIDENCE_MOST = 100
EVIDENCE = ["0b4c5c1e-7b1f-4c55-9d57-1f3f7f8b7a01"]


class ScoreQuery(Filter):
    """Under which version of the rubric."""

    version = QueryNumber(
        validate=validate.Range(min=1, max=2**31 - 1),
        metadata=described(
            "A version of the rubric; by default the one in which the session was last scored."
        ),
    )


class NewScore(Body):
    """A reviewer's score of one criterion."""

    value = Count(
        0,
        1000,
        required=True,
        metadata=described(
            "A whole number from the lowest to the highest value of the criterion's levels.", 3
        ),
    )
    comment = Text(
        5000,
        load_default=None,
        allow_none=True,
        metadata=described("Why.", "Found the race by reading, then proved it."),
    )
    evidence = fields.List(
        fields.String(validate=validate.Length(min=1, max=255)),
        load_default=list,
        validate=validate.Length(max=EVIDENCE_MOST),
        metadata=described("Ids of events of this session that show it.", []),
    )


class ScoringReviewer(Schema):
    """Who scored."""

    id = Id(metadata=described("The id of the reviewer's token."))
    name = fields.String(metadata=described("The token's name.", "Applicant tracking"))


class Score(Schema):
    """A score as it was given."""

    id = Id(metadata=described("Its id."))
    criterion = fields.String(metadata=described("The criterion's key.", "problem-solving"))
    rubric_version = fields.Integer(
        attribute="rubric_version.number",
        metadata=described("The version of the rubric in which it was given.", 1),
    )
    value = fields.Integer(metadata=described("The score.", 3))
    comment = fields.String(
        allow_none=True, metadata=described("Why.", "Found the race by reading, then proved it.")
    )
    evidence = fields.List(
        fields.String(), metadata=described("Ids of events of the session that show it.", EVIDENCE)
    )
    reviewer = fields.Nested(ScoringReviewer, metadata=described("Who scored."))
    created_at = Timestamp(metadata=described("When."))


class OneScore(Schema):
    """One score."""

    score = fields.Nested(Score, metadata=described("The score, which counts from now on."))


class ScoredCriterion(Criterion):
    """A criterion with the score that counts and all that were ever given."""

    lowest = fields.Integer(metadata=described("The lowest value of its scale.", 1))
    highest = fields.Integer(metadata=described("The highest value of its scale.", 3))
    score = fields.Nested(
        Score,
        allow_none=True,
        metadata=described("The latest score under this version of the rubric; null where there is none."),
    )
    history = fields.List(
        fields.Nested(Score),
        metadata=described("Every score of this criterion, of all versions, the latest first."),
    )


class Scores(Schema):
    """A session's scores under one version of the rubric."""

    rubric_id = Id(metadata=described("The rubric."))
    rubric_name = fields.String(
        metadata=described("What it was called in this version.", "Backend engineers")
    )
    rubric_version = fields.Integer(metadata=described("The version that is shown.", 1))
    current_rubric_version = fields.Integer(
        metadata=described("The rubric's current version, in which the next score will be given.", 1)
    )
    criteria = fields.List(
        fields.Nested(ScoredCriterion), metadata=described("The criteria of this version.")
    )
    total = fields.Float(
        allow_none=True,
        metadata=described(
            "The sum of weight times score, with 3 decimals; null until every criterion of this version has a score.",
            6,
        ),
    )
    lowest_total = fields.Float(metadata=described("The total with the lowest value everywhere.", 2))
    highest_total = fields.Float(metadata=described("The total with the highest value everywhere.", 6))
