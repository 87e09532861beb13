"""Scores of a session by the criteria of a rubric."""

from access import audit, auth, caller, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find
from errors import Erased, NoRubric, RubricChanged, ScoreChanged
from models import ApiToken, Score, Session, scores, visibility
from schemas.scores import NewScore, OneScore, ScoreQuery, Scores, Withdrawal, WithdrawnScore

blp = Blueprint("Scores", __name__, description="Reviewers' scores of a session, by criterion.")


@blp.get("/sessions/<id:session_id>/scores")
@auth.required(ApiToken)
@blp.arguments(ScoreQuery, location="query")
@blp.response(200, Scores)
@audit.reading
def get_scores(query, session_id):
    """Get a session's scores

    Each criterion with the reviewers' current scores, their mean and the history, and the total weighted over the
    means. All of them belong to one version of the rubric; scores of other versions are in the history only. A person
    is one reviewer with all their tokens; so is each service's token. Without a rubric, `rubric` and `total` are null.

    People who can score see only their own scores until they have scored every criterion once (`othersHidden`).
    Services and observers see all.
    """
    session = find(Session, session_id)
    are_hidden = visibility.hidden_scores(caller, [session.id])
    return scores.scorecard(session, query.get("version"), only_of=caller if are_hidden else None)


@blp.put("/sessions/<id:session_id>/scores/<criterion>")
@auth.required(ApiToken, scope="write")
@raises(NoRubric, Erased, RubricChanged, ScoreChanged)
@blp.arguments(NewScore)
@blp.response(200, OneScore)
@audit.change()
def put_score(data, session_id, criterion):
    """Score a criterion

    Writes the caller's own score in the rubric's current version. Revising it keeps the earlier one in the history; say
    why in `reason`. With `rubricVersion` and `replaces`, nothing is overwritten that you have not seen.
    """
    return {"score": Score.submit(find(Session, session_id), criterion, caller, **data)}


@blp.delete("/sessions/<id:session_id>/scores/<criterion>")
@auth.required(ApiToken, scope="write")
@raises(Erased)
@blp.response(200, WithdrawnScore)
@audit.change()
def withdraw_score(session_id, criterion):
    """Withdraw a score

    The caller's own current score of a criterion. It no longer counts, and stays in the history.
    """
    return {"ok": True, "id": Score.withdraw(find(Session, session_id), criterion, caller).id}


@blp.post("/sessions/<id:session_id>/scores/<criterion>/withdraw")
@auth.required(ApiToken, scope="write")
@idempotent
@raises(Erased)
@blp.arguments(Withdrawal)
@blp.response(200, WithdrawnScore)
@audit.change()
def withdraw_score_with_reason(data, session_id, criterion):
    """Withdraw a score with a reason

    Like `DELETE`, with the reason in the history.
    """
    score = Score.withdraw(find(Session, session_id), criterion, caller, data["reason"])
    return {"ok": True, "id": score.id}
