"""Scores of a session by the criteria of a rubric."""

from access import audit, auth
from access.auth import caller
from blueprints import Blueprint, find, refuses
from errors import Erased, NoRubric
from models import ApiToken, Score, Session, scores
from schemas.scores import NewScore, OneScore, ScoreQuery, Scores

blp = Blueprint("Scores", __name__, description="What reviewers think of a session, criterion by criterion.")


@blp.get("/sessions/<id:session_id>/scores")
@auth.required(ApiToken)
@refuses(NoRubric)
@blp.arguments(ScoreQuery, location="query")
@blp.response(200, Scores)
@audit.reading
def get_scores(query, session_id):
    """Get the scores

    Each criterion with the score that counts and its history, and the weighted total. A total is of one version of
    the rubric: a score given under another version stays in the history and counts in nothing.
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

    By the rubric's current version. It takes the place of the score before, which stays in the history.
    """
    score = Score.give(find(Session, session_id), criterion, caller, **data)
    return {"score": score}
