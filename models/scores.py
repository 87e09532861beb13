"""Reviewers' scores of a session, by the criteria of its assessment's rubric."""

from typing import Any

import peewee

from errors import NoRubric, NotFound, invalid
from models.assessments import Assessment
from models.base import ErasedWithSession, Model, PersonalData, Query, db
from models.feed import FeedEvent
from models.keys import CandidateKey
from models.orgs import ApiToken
from models.rubrics import Rubric, RubricVersion
from models.sessions import Event, Session
from rules import scoring


class Score(Model, ErasedWithSession):
    """One reviewer's score of one criterion, in one version of the rubric; never changed.

    The latest score of a criterion counts. `evidence` are ids of the session's events.
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
        indexes = ((("session", "id"), False),)

    @classmethod
    def give(cls, session: Session, criterion_key: str, reviewer: ApiToken, **columns: Any) -> "Score":
        """Score a criterion of the rubric's current version; `columns` are value, comment and evidence.

        Repeating the latest score changes nothing. Raises NoRubric, NotFound for an unknown criterion, Erased, and
        Invalid for a value outside of the scale or for evidence that is not an event of the session.
        """
        with db.atomic():
            session.lock_unless_erased()
            version = current_version(session)
            criterion = scoring.find_criterion(version.criteria, criterion_key)
            if criterion is None:
                raise NotFound()
            lowest, highest = scoring.value_range(criterion)
            if not lowest <= columns["value"] <= highest:
                raise invalid("value", f"Must be from {lowest} to {highest}, the scale of this criterion.")
            _require_events(session, columns["evidence"])
            columns |= {"rubric_version": version, "reviewer": reviewer}
            latest = cls.history(session).where(cls.criterion == criterion_key).first()
            if latest is not None and all(getattr(latest, name) == value for name, value in columns.items()):
                return latest
            score = cls.create(session=session, criterion=criterion_key, **columns)
            _store_total(session)
            payload = {"criterion": criterion_key, "value": score.value, "rubricVersion": version.number}
            FeedEvent.publish(session.organization_id, "score.updated", session.ids | payload)
        return score

    @classmethod
    def history(cls, session: Session) -> Query:
        """All scores of a session with their reviewers and versions, latest first."""
        query = cls.select(cls, RubricVersion, ApiToken).join(RubricVersion).switch(cls).join(ApiToken)
        return query.where(cls.session == session).order_by(cls.created_at.desc(), cls.id.desc())

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Session | None) -> int:
        """Remove comments and evidence; the values stay."""
        return cls.update(comment=None, evidence=[]).where(cls.session == session).execute()


def sheet(session: Session, number: int | None = None) -> dict[str, Any]:
    """A session's scores in one version of the rubric, with the weighted total.

    Scores given in other versions are in the history only. The default is the version in which the session was last
    scored: changing the rubric affects no total until a reviewer scores in the new version.

    Raises NoRubric, and NotFound for an unknown version.
    """
    current = current_version(session)
    history = list(Score.history(session))
    version = _version(current, history, number)
    criteria = [_with_scores(criterion, version, history) for criterion in version.criteria]
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


def _store_total(session: Session) -> None:
    """Store the total and the means of the locked session's current sheet, for lists of results."""
    scored = sheet(session)
    total = scored["total"]
    criteria = [
        {
            "key": criterion["key"],
            "mean": criterion["score"] and float(criterion["score"].value),
            "reviewers": int(criterion["score"] is not None),
        }
        for criterion in scored["criteria"]
    ]
    session.update_columns(
        score_total=None if total is None else round(total * 1000), score_criteria=criteria
    )


def criterion_keys(assessment: Assessment) -> list[str]:
    """The keys of the criteria of the assessment's rubric, in all its versions, latest first."""
    versions = RubricVersion.select().where(RubricVersion.rubric == assessment.rubric_id)
    keys = (
        criterion["key"]
        for version in versions.order_by(RubricVersion.number.desc())
        for criterion in version.criteria
    )
    return list(dict.fromkeys(keys))


def current_version(session: Session) -> RubricVersion:
    """The current version of the assessment's rubric. Raises NoRubric if it has none."""
    query = RubricVersion.select().join(Rubric, on=(RubricVersion.rubric == Rubric.id))
    query = query.where(Rubric.id == session.assessment.rubric_id, RubricVersion.number == Rubric.version)
    if version := query.get_or_none():
        return version
    raise NoRubric()


def _version(current: RubricVersion, history: list[Score], number: int | None) -> RubricVersion:
    if number is None:
        return history[0].rubric_version if history else current
    is_numbered = (RubricVersion.rubric == current.rubric_id) & (RubricVersion.number == number)
    if version := RubricVersion.get_or_none(is_numbered):
        return version
    raise NotFound()


def _with_scores(criterion: dict[str, Any], version: RubricVersion, history: list[Score]) -> dict[str, Any]:
    scores = [score for score in history if score.criterion == criterion["key"]]
    current = next((score for score in scores if score.rubric_version_id == version.id), None)
    lowest, highest = scoring.value_range(criterion)
    return criterion | {"lowest": lowest, "highest": highest, "score": current, "history": scores}


def _require_events(session: Session, event_ids: list[str]) -> None:
    query = Event.select(Event.event_id).where(Event.session == session, Event.event_id.in_(event_ids))
    existing_ids = {event.event_id for event in query}
    for number, event_id in enumerate(event_ids):
        if event_id not in existing_ids:
            raise invalid(["evidence", number], "This session has no event with this id.")
