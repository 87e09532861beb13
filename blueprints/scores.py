"""Scores of a session by the criteria of a rubric."""

from access import audit, auth, caller, refuses
from blueprints import Blueprint, find
from errors import Erased, NoRubric
from models import ApiToken, Score, Session, scores
from schemas.scores import NewScore, OneScore, ScoreQuery, Scores

blp = Blueprint("Scores", __name__, description="Reviewers' scores of a session, by criterion.")


@blp.get("/sessions/<id:session_id>/scores")
@auth.required(ApiToken)
@blp.arguments(ScoreQuery, location="query")
@blp.response(200, Scores)
@audit.reading
def get_scores(query, session_id):
    """Get a session's scores

    Each criterion with its current score and its history, and the weighted total. All of them belong to one version of
    the rubric; scores of other versions are in the history only. Without a rubric, `rubric` and `total` are null.
    """
    return scores.sheet(find(Session, session_id), query.get("version"))


@blp.put("/sessions/<id:session_id>/scores/<criterion>")
@auth.required(ApiToken, scope="write")
@refuses(NoRubric, Erased)
@blp.arguments(NewScore)
@blp.response(200, OneScore)
@audit.change()
def put_score(data, session_id, criterion):
    """Score a criterion

    Uses the rubric's current version. An earlier score moves to the history.
    """
    return {"score": Score.give(find(Session, session_id), criterion, caller, **data)}
