"""What reviewers think of a session, by the criteria of its assessment's rubric."""

from typing import Any

import peewee

from errors import NoRubric, NotFound, invalid
from models.base import Model, PersonalData, Query, db
from models.feed import FeedEvent
from models.keys import CandidateKey
from models.orgs import ApiToken
from models.rubrics import Rubric, RubricVersion
from models.sessions import Event, Session
from rules import scoring


class Score(Model):
    """One reviewer's score of one criterion; never changed, the latest of a criterion counts.

    It belongs to the version of the rubric in which it was given. `evidence` are ids of the session's events. An
    erasure takes comment and evidence away and leaves the value.
    """

    personal_data = PersonalData("scores", None)

    rubric_version_id: Any
    reviewer_id: Any
    session = peewee.ForeignKeyField(Session, index=False)
    criterion = peewee.TextField()
    rubric_version = peewee.ForeignKeyField(RubricVersion)
    value = peewee.IntegerField()
    comment = peewee.TextField(null=True)
    evidence = peewee.JSONField(default=list)
    reviewer = peewee.ForeignKeyField(ApiToken)

    class Meta:
        table_name = "scores"
        indexes = ((("session", "id"), False),)

    @classmethod
    def give(cls, session: Session, criterion_key: str, reviewer: ApiToken, **given: Any) -> "Score":
        """Score a criterion of the rubric's current version; `given` are value, comment and evidence.

        Raises NoRubric, NotFound for an unknown criterion, Invalid for a value outside of its scale or for evidence
        that is no event of the session, and Erased. Giving the score that counts once more changes nothing.
        """
        with db.atomic():
            session.require_person()
            version = current_version(session)
            criterion = scoring.find_criterion(version.criteria, criterion_key)
            if criterion is None:
                raise NotFound()
            _require_in_scale(criterion, given["value"])
            _require_events(session, given["evidence"])
            latest = cls.history(session).where(cls.criterion == criterion_key).first()
            if latest is not None and latest._says(version, reviewer, given):
                return latest
            score = cls.create(
                session=session, criterion=criterion_key, rubric_version=version, reviewer=reviewer, **given
            )
            payload = {"criterion": criterion_key, "value": score.value, "rubricVersion": version.number}
            FeedEvent.publish(session.organization_id, "score.updated", session.ids | payload)
        return score

    @classmethod
    def history(cls, session: Session) -> Query:
        """All scores of a session with their reviewers and versions, the latest first."""
        query = cls.select(cls, RubricVersion, ApiToken).join(RubricVersion).switch(cls).join(ApiToken)
        return query.where(cls.session == session).order_by(cls.created_at.desc(), cls.id.desc())

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Session | None) -> Query:
        return cls.select().where(cls.session == session)

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Session | None) -> int:
        """Take away what was written about the candidate; the values stay."""
        return cls.update(comment=None, evidence=[]).where(cls.session == session).execute()

    def _says(self, version: RubricVersion, reviewer: ApiToken, given: dict[str, Any]) -> bool:
        is_same = all(getattr(self, name) == value for name, value in given.items())
        return is_same and (self.rubric_version_id, self.reviewer_id) == (version.id, reviewer.id)


def sheet(session: Session, number: int | None = None) -> dict[str, Any]:
    """A session's scores under one version of the rubric, with the weighted total.

    A total is of one version: a score given under another one is in the history and counts in nothing here. Without
    a number it is the version in which the session was last scored, so that a change of the rubric moves no total
    until somebody scores in the new version.

    Raises NoRubric, and NotFound for a number that the rubric never had.
    """
    current = current_version(session)
    history = list(Score.history(session))
    version = _version(current, history, number)
    criteria = [_on_sheet(criterion, version, history) for criterion in version.criteria]
    values = {criterion["key"]: criterion["score"].value for criterion in criteria if criterion["score"]}
    lowest, highest = scoring.total_score_range(version.criteria)
    return {
        "rubric_id": version.rubric_id,
        "rubric_name": version.name,
        "rubric_version": version.number,
        "current_rubric_version": current.number,
        "criteria": criteria,
        "total": scoring.total_score(version.criteria, values),
        "lowest_total": lowest,
        "highest_total": highest,
    }


def current_version(session: Session) -> RubricVersion:
    """The current version of the rubric of the session's assessment; NoRubric where it has none."""
    query = RubricVersion.select().join(Rubric, on=(RubricVersion.rubric == Rubric.id))
    version = query.where(
        Rubric.id == session.assessment.rubric_id, RubricVersion.number == Rubric.version
    ).get_or_none()
    if version is None:
        raise NoRubric()
    return version


def _version(current: RubricVersion, history: list[Score], number: int | None) -> RubricVersion:
    if number is None:
        return history[0].rubric_version if history else current
    found = RubricVersion.get_or_none(
        RubricVersion.rubric == current.rubric_id, RubricVersion.number == number
    )
    if found is None:
        raise NotFound()
    return found


def _on_sheet(criterion: dict[str, Any], version: RubricVersion, history: list[Score]) -> dict[str, Any]:
    given = [score for score in history if score.criterion == criterion["key"]]
    lowest, highest = scoring.value_range(criterion)
    return criterion | {
        "lowest": lowest,
        "highest": highest,
        "score": next((score for score in given if score.rubric_version_id == version.id), None),
        "history": given,
    }


def _require_in_scale(criterion: Any, value: int) -> None:
    lowest, highest = scoring.value_range(criterion)
    if not lowest <= value <= highest:
        raise invalid("value", f"Must be from {lowest} to {highest}, the scale of this criterion.")


def _require_events(session: Session, event_ids: list[str]) -> None:
    query = Event.select(Event.event_id).where(Event.session == session, Event.event_id.in_(event_ids))
    rows: Any = query.tuples()
    known = {event_id for (event_id,) in rows}
    for number, event_id in enumerate(event_ids):
        if event_id not in known:
            raise invalid(["evidence", number], "This session has no event with this id.")
