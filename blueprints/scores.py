"""A session's scores, by rubric criterion."""

from access import audit, auth, caller, gates, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find
from errors import Erased, NoRubric, RubricChanged, ScoreChanged
from models import ApiToken, Assessment, Score, ScoreReveal, Session, scores, visibility
from schemas import scores as schemas

blp = Blueprint("Scores", __name__, description="Reviewers' scores for sessions, by criterion.")


@blp.get("/sessions/<id:session_id>/scores")
@auth.required(ApiToken)
@blp.arguments(schemas.ScoreQuery, location="query")
@blp.response(200, schemas.Scores)
@audit.record_read
def get_scores(query, session_id):
    """Get a session's scores

    Each criterion's current scores, their mean and history, and the weighted total of the means. Current scores belong
    to one rubric version; scores from other versions appear only in the history. All of a person's tokens count as one
    reviewer; each token of a service account counts separately. Without a rubric, `rubric` and `total` are null.

    People who can score see only their own scores until they have scored every criterion or chosen to see all
    (`/scores/reveal`), or the candidate has a hiring decision (`othersHidden`). Service accounts and observers see all
    scores.
    """
    return _scorecard(find(Session, session_id), query.get("version"))


@blp.put("/sessions/<id:session_id>/scores")
@auth.required(ApiToken, scope="write")
@raises(NoRubric, Erased, RubricChanged, ScoreChanged)
@blp.arguments(schemas.NewScores)
@blp.response(200, schemas.Scores)
@audit.record_change()
def put_scores(data, session_id):
    """Score several criteria

    Atomic: either all scores are submitted or none, each like a single `PUT`. Responds with the scorecard.
    """
    session = find(Session, session_id)
    Score.submit_all(session, caller, **data)
    return _scorecard(session)


def _scorecard(session, version=None):
    are_hidden = visibility.hidden_scores(caller, [session.id])
    return scores.scorecard(session, version, only_reviewer=caller if are_hidden else None)


@blp.post("/sessions/<id:session_id>/scores/reveal")
@auth.required(ApiToken, scope="write")
@idempotent
@gates.people_only
@blp.response(200, schemas.RevealedScores)
@audit.record_change()
def reveal_scores(session_id):
    """Show the team's scores of a session

    Shows the caller the other reviewers' scores before they have scored every criterion. Scores that they submit or
    revise afterwards have `independent: false`. Hidden names stay hidden. Only for people: service accounts see all
    scores.
    """
    session = find(Session, session_id)
    ScoreReveal.record(session.assessment, caller.user, session)
    return {"ok": True}


@blp.post("/assessments/<id:assessment_id>/scores/reveal")
@auth.required(ApiToken, scope="write")
@idempotent
@gates.people_only
@blp.response(200, schemas.RevealedScores)
@audit.record_change()
def reveal_assessment_scores(assessment_id):
    """Show the team's scores of an assessment

    Like `POST /v1/sessions/{id}/scores/reveal`, for all sessions of the assessment, including later ones.
    """
    ScoreReveal.record(find(Assessment, assessment_id), caller.user)
    return {"ok": True}


@blp.put("/sessions/<id:session_id>/scores/<criterion>")
@auth.required(ApiToken, scope="write")
@raises(NoRubric, Erased, RubricChanged, ScoreChanged)
@blp.arguments(schemas.NewScore)
@blp.response(200, schemas.ScoreResponse)
@audit.record_change()
def put_score(data, session_id, criterion):
    """Score a criterion

    Sets the caller's score in the rubric's current version. Earlier scores stay in the history; explain a revision in
    `reason`. Send `rubricId`, `rubricVersion` and `replaces` to avoid overwriting a change that you have not seen. The
    criterion `recommendation` exists in every rubric: 1 (strong no) to 4 (strong yes).
    """
    return {"score": Score.submit(find(Session, session_id), criterion, caller, **data)}


@blp.delete("/sessions/<id:session_id>/scores/<criterion>")
@auth.required(ApiToken, scope="write")
@raises(Erased)
@blp.response(200, schemas.WithdrawnScore)
@audit.record_change()
def withdraw_score(session_id, criterion):
    """Withdraw a score

    Withdraws the caller's current score. It no longer counts, but stays in the history.
    """
    return {"ok": True, "id": Score.withdraw(find(Session, session_id), criterion, caller).id}


@blp.post("/sessions/<id:session_id>/scores/<criterion>/withdraw")
@auth.required(ApiToken, scope="write")
@idempotent
@raises(Erased)
@blp.arguments(schemas.Withdrawal)
@blp.response(200, schemas.WithdrawnScore)
@audit.record_change()
def withdraw_score_with_reason(data, session_id, criterion):
    """Withdraw a score with a reason

    Like `DELETE`, but records the reason in the history.
    """
    score = Score.withdraw(find(Session, session_id), criterion, caller, data["reason"])
    return {"ok": True, "id": score.id}
