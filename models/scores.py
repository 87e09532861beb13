"""Reviewers' scores of a session, by criterion of the assessment's rubric."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any

import peewee

from errors import Invalid, NoRubric, NotFound, RubricChanged, ScoreChanged, invalid
from models import visibility
from models.base import ErasedWithSession, PersonalData, Query, TimestampField, clock, db
from models.feed import FeedEvent
from models.keys import CandidateKey
from models.ledger.protection import ProtectedModel
from models.orgs import ApiToken, User
from models.rubrics import Rubric, RubricVersion
from models.sessions import Event, Session
from rules.statistics import scoring
from rules.statistics.scoring import RECOMMENDATION

# Prefixes of evidence that is not an event. Only the form of these references is validated.
LINE_OR_TEST = ("diff:", "test:")


class Score(ProtectedModel, ErasedWithSession):
    """A reviewer's score of one criterion in one version of the rubric.

    A reviewer is a user, or a service account's token. A revision adds a row. A reviewer's latest score of a criterion
    in a version counts, unless it was withdrawn; the latest recommendation counts in all versions. `reason` explains a
    revision, `withdrawal_reason` a withdrawal. `evidence` contains references: an event's id, `diff:<path>:<line>`, or
    `test:<name>`. `independent` is false if the reviewer could see another reviewer's score of the session, also
    earlier as an observer (R49).
    """

    personal_data = PersonalData("scores", None)
    protected = (
        *("session", "criterion", "rubric_version", "value", "comment", "evidence", "reviewer", "reason"),
        *("withdrawn_at", "withdrawal_reason", "created_at", "independent"),
    )
    parent = "session"
    session_link = ("session_id", "id")

    rubric_version_id: Any
    reviewer_id: Any
    session = peewee.ForeignKeyField(Session, index=False)
    criterion = peewee.TextField()
    rubric_version = peewee.ForeignKeyField(RubricVersion)
    value = peewee.IntegerField()
    comment = peewee.TextField(null=True)
    evidence = peewee.JSONField(default=list)
    reviewer = peewee.ForeignKeyField(ApiToken)
    reason = peewee.TextField(null=True)
    withdrawn_at = TimestampField(null=True)
    withdrawal_reason = peewee.TextField(null=True)
    independent = peewee.BooleanField(default=True)

    @classmethod
    def submit_all(
        cls,
        session: Session,
        reviewer: ApiToken,
        scores: list[dict[str, Any]],
        **seen: Any,
    ) -> None:
        """Submit several scores in one transaction. Raises like `submit`, but Invalid for an unknown criterion."""
        with db.atomic():
            session.lock_unless_erased()
            # Before the batch, which can complete the scoring and so reveal the others' scores.
            is_independent = _is_independent(session, reviewer)
            for number, score in enumerate(scores):
                try:
                    cls._add(session, reviewer, is_independent, **seen, **score)
                except NotFound:
                    raise invalid(
                        ["scores", number, "criterion"], "No such criterion in the rubric."
                    ) from None
                except Invalid as error:
                    details = [
                        detail | {"path": ["scores", number, *detail["path"]]}
                        for detail in error.details or ()
                    ]
                    raise Invalid(details=details) from None
            cls._finish(session, reviewer)

    @classmethod
    def submit(
        cls,
        session: Session,
        criterion_key: str,
        reviewer: ApiToken,
        reason: str | None = None,
        **values: Any,
    ) -> "Score":
        """Score a criterion of the rubric's current version. Submitting the latest score again is idempotent.

        values -- `value`, `comment` and `evidence`;
            `seen_rubric` and `seen_version`, the rubric's id and version that the reviewer saw: raise RubricChanged if
            they are outdated;
            `seen_score`, the id of the reviewer's latest score that they saw: raises ScoreChanged if it is outdated

        Raises NoRubric, NotFound for an unknown criterion, Erased, and Invalid for a value outside the scale or an
        event that is not in the session.
        """
        with db.atomic():
            session.lock_unless_erased()
            is_independent = _is_independent(session, reviewer)
            score = cls._add(session, reviewer, is_independent, criterion_key, reason=reason, **values)
            cls._finish(session, reviewer)
        return score

    @classmethod
    def _add(
        cls,
        session: Session,
        reviewer: ApiToken,
        is_independent: bool,
        criterion: str,
        reason: str | None = None,
        seen_rubric: Any = None,
        seen_version: int | None = None,
        seen_score: Any = None,
        **columns: Any,
    ) -> "Score":
        """Add a score to a locked session, unless it is the latest again; `_finish` follows."""
        version = current_version(session)
        if seen_rubric not in (None, version.rubric_id) or seen_version not in (None, version.number):
            raise RubricChanged()
        found = next((row for row in (*version.criteria, RECOMMENDATION) if row["key"] == criterion), None)
        if found is None:
            raise NotFound()
        lowest, highest = scoring.value_range(found)
        if not lowest <= columns["value"] <= highest:
            raise invalid("value", f"Must be from {lowest} to {highest}, the scale of this criterion.")
        _require_events(session, columns["evidence"])
        columns |= {"rubric_version": version}
        latest = cls._latest(session, criterion, reviewer)
        if seen_score is not None and (latest is None or latest.id != seen_score):
            raise ScoreChanged()
        if latest and all(getattr(latest, name) == value for name, value in columns.items()):
            return latest
        columns |= {"reviewer": reviewer, "reason": reason, "independent": is_independent}
        score = cls.create(session=session, criterion=criterion, **columns)
        session.update_columns(updated_at=clock.now())
        score._publish("score.updated")
        return score

    @classmethod
    def _finish(cls, session: Session, reviewer: ApiToken) -> None:
        """Store what follows from a locked session's new scores."""
        _store_total(session)
        CompletedScoring.record(session, current_version(session), reviewer)

    @classmethod
    def withdraw(
        cls, session: Session, criterion_key: str, reviewer: ApiToken, reason: str | None = None
    ) -> "Score":
        """Withdraw the reviewer's latest score of a criterion. Raises NotFound if there is none, and Erased."""
        with db.atomic():
            session.lock_unless_erased()
            score = cls._latest(session, criterion_key, reviewer)
            if score is None:
                raise NotFound()
            score.record_change("withdrawn", withdrawn_at=clock.now(), withdrawal_reason=reason)
            session.update_columns(updated_at=clock.now())
            _store_total(session)
            score._publish("score.withdrawn")
        return score

    @classmethod
    def _latest(cls, session: Session, criterion_key: str, reviewer: ApiToken) -> "Score | None":
        """Return the reviewer's latest score of a criterion that counts, in any version."""
        # Not in SQL: PostgreSQL rejects NUL, which a path can contain.
        scores = [score for score in cls.by(reviewer, session) if score.criterion == criterion_key]
        return next(_latest_scores(scores), None)

    def _publish(self, event_type: str) -> None:
        payload = {"criterion": self.criterion, "value": self.value}
        payload |= {"rubricVersion": self.rubric_version.number}
        FeedEvent.publish(self.session.organization_id, event_type, self.session.ids | payload)

    @property
    def is_recommendation(self) -> bool:
        return self.criterion == RECOMMENDATION["key"]

    @classmethod
    def history(cls, *sessions: Any) -> Query:
        """Select all scores of sessions with their reviewers and versions, latest first."""
        query = cls.select(cls, RubricVersion, ApiToken, User).join(RubricVersion).switch(cls).join(ApiToken)
        query = query.join(User, peewee.JOIN.LEFT_OUTER)
        return query.where(cls.session.in_(sessions)).order_by(cls.created_at.desc(), cls.id.desc())

    @classmethod
    def by(cls, reviewer: ApiToken, session: Session) -> Query:
        """Select a reviewer's scores of a session, latest first."""
        is_person = ApiToken.user == reviewer.user_id
        return cls.history(session).where(is_person if reviewer.user_id else cls.reviewer == reviewer)

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Session | None) -> int:
        """Remove comments, reasons and evidence, but not the values."""
        erased: dict[str, Any] = {"comment": None, "reason": None, "withdrawal_reason": None, "evidence": []}
        scores = list(cls.select().where(cls.session == session))
        for score in scores:
            score.record_change("erased", **erased)
        return len(scores)


class CompletedScoring(ProtectedModel):
    """A user's completed scoring of a session, which reveals a blind assessment's candidate to them."""

    personal_data = None
    protected = ("session", "user", "created_at")
    parent = "session"
    session_link = ("session_id", "id")

    session = peewee.ForeignKeyField(Session, index=False)
    user = peewee.ForeignKeyField(User)

    class Meta:
        indexes = ((("session", "user"), True),)

    @classmethod
    def record(cls, session: Session, version: RubricVersion, reviewer: ApiToken) -> None:
        """Record the scoring if the reviewer is a user with a current score for every criterion of the version."""
        if reviewer.user_id is None:
            return
        scores = list(Score.by(reviewer, session).where(Score.rubric_version == version))
        if all(_current(scores, criterion["key"], version) for criterion in version.criteria):
            is_theirs = (cls.session == session) & (cls.user == reviewer.user_id)
            if not cls.select().where(is_theirs).exists():
                cls.create(session=session, user=reviewer.user_id)


def select_scoring(reviewer: ApiToken, session_id: Any) -> Query:
    """Select a reviewer's scoring of a session, for EXISTS. For a service account, one scored criterion is enough."""
    if reviewer.user_id is None:
        scores = Score.select(Score.id).where(Score.session == session_id, Score.reviewer == reviewer.id)
        return scores.where(Score.withdrawn_at.is_null(), Score.criterion != RECOMMENDATION["key"])
    is_reviewers = CompletedScoring.user == reviewer.user_id
    return CompletedScoring.select(CompletedScoring.id).where(
        CompletedScoring.session == session_id, is_reviewers
    )


_NULLS = (
    *("rubric", "rubric_id", "rubric_name", "rubric_version", "current_rubric_version"),
    *("recommendation", "total", "lowest_total", "highest_total"),
)
_WITHOUT_RUBRIC = dict.fromkeys(_NULLS) | {"criteria": [], "others_hidden": False, "reviewer_count": 0}


def scorecard(
    session: Session, number: int | None = None, only_reviewer: ApiToken | None = None
) -> dict[str, Any]:
    """Return a session's scores in one version of the rubric, with the weighted total of the reviewers' means.

    Defaults to the version in which the session was last scored: a change or removal of the rubric does not affect
    totals until a reviewer scores in the new version. Scores in other versions appear only in the history.

    Raises NotFound for an unknown version.

    only_reviewer -- the reviewer, if other reviewers' scores are hidden from them and must not count
    """
    current, history = _find_current_version(session), list(Score.history(session))
    version = _version(current, history, number)
    if version is None:
        return _WITHOUT_RUBRIC
    reviewer_ids = {
        score.reviewer.author.id
        for criterion in version.criteria
        for score in _current(history, criterion["key"], version)
    }
    if only_reviewer is not None:
        history = [score for score in history if score.reviewer.author.id == only_reviewer.author.id]
        # Their own latest version, which can be another one.
        version = (number is None and _version(current, history, None)) or version
    criteria = [_with_scores(criterion, version, history) for criterion in version.criteria]
    lowest, highest = scoring.total_score_range(version.criteria)
    return {
        "rubric": {"id": version.rubric_id, "name": version.name, "version": version.number},
        "rubric_id": version.rubric_id,
        "rubric_name": version.name,
        "rubric_version": version.number,
        "current_rubric_version": current and current.number,
        "criteria": criteria,
        "recommendation": _with_scores(RECOMMENDATION, version, history),
        "total": _total(version, criteria),
        "lowest_total": lowest,
        "highest_total": highest,
        "others_hidden": only_reviewer is not None,
        "reviewer_count": len(reviewer_ids),
    }


def _store_total(session: Session) -> None:
    """Store the locked session's total, means, spread, disagreement and reviewers, for lists."""
    history = list(Score.history(session))
    version = _scored_version(history)
    if version is None:
        return
    criteria = [_with_scores(criterion, version, history) for criterion in version.criteria]
    total = _total(version, criteria)
    means = [
        {"key": criterion["key"], "mean": criterion["mean"], "reviewers": len(criterion["scores"])}
        for criterion in criteria
    ]
    current = [score for criterion in criteria for score in criterion["scores"]]
    _, highest = scoring.total_score_range(version.criteria)
    session.update_columns(
        score_total=_thousandths(total),
        score_highest=_thousandths(highest),
        score_spread=max(
            (criterion["spread"] for criterion in criteria if len(criterion["scores"]) > 1), default=None
        ),
        score_criteria=means,
        has_disagreement=any(criterion["disagreement"] for criterion in criteria),
        score_reviewers=len({score.reviewer.author.id for score in current}),
        score_independent=all(score.independent for score in current),
    )


def _thousandths(total: float | None) -> int | None:
    return None if total is None else round(total * 1000)


def _total(version: RubricVersion, criteria: list[dict[str, Any]]) -> float | None:
    """Return the weighted total of the reviewers' means; None until each criterion has a score."""
    means = {
        criterion["key"]: mean
        for criterion in criteria
        if (mean := scoring.mean([score.value for score in criterion["scores"]])) is not None
    }
    return scoring.total_score(version.criteria, means)


def current_version(session: Session) -> RubricVersion:
    """Return the current version of the assessment's rubric. Raises NoRubric."""
    if version := _find_current_version(session):
        return version
    raise NoRubric()


def _find_current_version(session: Session) -> RubricVersion | None:
    query = RubricVersion.select().join(Rubric, on=(RubricVersion.rubric == Rubric.id))
    query = query.where(Rubric.id == session.assessment.rubric_id, RubricVersion.number == Rubric.version)
    return query.get_or_none()


def _version(current: RubricVersion | None, history: list[Score], number: int | None) -> RubricVersion | None:
    scored = _scored_version(history)
    if number is None:
        return scored or current
    rubric = current or scored
    is_numbered = (RubricVersion.rubric == (rubric and rubric.rubric_id)) & (RubricVersion.number == number)
    if version := RubricVersion.get_or_none(is_numbered):
        return version
    raise NotFound()


def _scored_version(history: list[Score]) -> RubricVersion | None:
    """Return the version of the latest score that counts, or of the latest score if all were withdrawn."""
    scores = [score for score in history if not score.is_recommendation]
    return next(_latest_scores(scores), scores[0]).rubric_version if scores else None


def _is_independent(session: Session, reviewer: ApiToken) -> bool:
    """Return whether the reviewer could never see another reviewer's score of the session (R49)."""
    history = Score.history(session)
    others = [score for score in history if score.reviewer.author.id != reviewer.author.id]
    if others and not visibility.hidden_scores(reviewer, [session.id]):
        return False
    seen_until = reviewer.user and reviewer.user.observer_until
    return seen_until is None or all(score.created_at > seen_until for score in others)


def _latest_scores(history: list[Score]) -> Iterator[Score]:
    """Yield each reviewer's latest score of each criterion and version, unless it was withdrawn.

    A recommendation does not depend on the version.
    """
    seen = set()
    for score in history:
        version_id = None if score.is_recommendation else score.rubric_version_id
        key = (score.reviewer.author.id, score.criterion, version_id)
        if key not in seen and score.withdrawn_at is None:
            yield score
        seen.add(key)


def current_scores(session_ids: Iterable[Any]) -> Iterator[tuple[RubricVersion, list[Score]]]:
    """Yield the rubric version in which each scored session was last scored, and its current scores without texts."""
    columns = (Score.session, Score.criterion, Score.rubric_version, Score.value, Score.reviewer)
    versions: dict[Any, Any] = {}
    reviewers: dict[Any, Any] = {}
    for ids in peewee.chunked(session_ids, visibility.MAX_IDS_PER_STATEMENT):
        query = Score.select(*columns, Score.withdrawn_at).where(Score.session.in_(ids))
        query = query.order_by(Score.session, Score.created_at.desc(), Score.id.desc())
        for _, rows in groupby(query, attrgetter("session_id")):
            history = [row for row in rows if not row.is_recommendation]
            for row in history:
                # Most scores have the same versions and reviewers.
                row.rubric_version = versions.get(row.rubric_version_id) or row.rubric_version
                row.reviewer = reviewers.get(row.reviewer_id) or row.reviewer
                versions[row.rubric_version_id], reviewers[row.reviewer_id] = row.rubric_version, row.reviewer
            if version := _scored_version(history):
                yield version, [row for row in _latest_scores(history) if row.rubric_version_id == version.id]


def _with_scores(criterion: dict[str, Any], version: RubricVersion, history: list[Score]) -> dict[str, Any]:
    current = _current(history, criterion["key"], version)
    lowest, highest = scoring.value_range(criterion)
    return criterion | {
        "lowest": lowest,
        "highest": highest,
        **scoring.summarize(criterion, [score.value for score in current]),
        "score": current[0] if current else None,
        "scores": current,
        "history": [score for score in history if score.criterion == criterion["key"]],
    }


def _current(history: list[Score], criterion_key: str, version: RubricVersion) -> list[Score]:
    """Return each reviewer's current score of a criterion in a version, latest first."""
    scores = (score for score in _latest_scores(history) if score.criterion == criterion_key)
    return [score for score in scores if score.is_recommendation or score.rubric_version_id == version.id]


def _require_events(session: Session, evidence: list[str]) -> None:
    """Raise Invalid if evidence references an event that is not in the session."""
    event_ids = [reference for reference in evidence if not reference.startswith(LINE_OR_TEST)]
    query = Event.select(Event.event_id).where(Event.session == session, Event.event_id.in_(event_ids))
    existing_ids = {event.event_id for event in query}
    for number, reference in enumerate(evidence):
        if reference in event_ids and reference not in existing_ids:
            raise invalid(["evidence", number], "No event in this session has this id.")
