"""Results of an assessment: one row for each session and each candidate who has not redeemed their key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from models import sql
from models.base import clock
from models.keys import CandidateKey
from models.sessions import Session
from rules.result_cursors import FITS, ResultCursor
from rules.statistics.cohorts import METRICS
from rules.statistics.fairness import DECISIONS

BATCH_SIZE = 2000
STATUSES = ("pending", "active", "completed", "expired", "hired")


class Sort(NamedTuple):
    """An order of the results.

    value -- the SQL expression to order by; results without a value are last
    kind -- of the value, a key of `FITS`
    """

    value: str
    kind: str = "integer"


def _position(value: str, values: Sequence[str]) -> Sort:
    """The order of the values in a list."""
    cases = " ".join(f"WHEN '{each}' THEN {number}" for number, each in enumerate(values))
    return Sort(f"CASE {value} {cases} END")


SORTS = {
    "candidateName": Sort("k.sort_name", "text"),
    "status": _position(sql.STATUS, STATUSES),
    "redeemedAt": Sort("s.created_at", "time"),
    "completedAt": Sort("s.completed_at", "time"),
    **{metric.name: Sort(f"s.{metric.field}") for metric in METRICS},
    "testsPassed": Sort("CASE WHEN s.tests_passed THEN 1 WHEN NOT s.tests_passed THEN 0 END"),
    "scoreTotal": Sort("s.score_total"),
    "scoreSpread": Sort("s.score_spread"),
    "decision": _position("k.decision", DECISIONS),
}
# For a user who sees only the scores of sessions that they have scored, the others have no value
# (models/visibility.py).
_SEEN_SCORE = """CASE WHEN EXISTS (
        SELECT 1 FROM completed_scorings c WHERE c.session_id = s.id AND c.user_id = :user_id
    ) THEN {value} END"""
_FILTERS = {
    "decision": "k.decision = :decision",
    "external_id": "k.external_id = :external_id",
    "pattern": "k.search_text LIKE :pattern ESCAPE '!'",
    "user_id": f"NOT {sql.HIDDEN}",
    "status": f"{sql.STATUS} = :status",
}
# Results with a value, sessions without one, then other candidates; each group by redeem or key creation.
_GROUP = "CASE WHEN {value} IS NOT NULL THEN 0 WHEN s.id IS NOT NULL THEN 1 ELSE 2 END"
_ID = "COALESCE(s.id, k.id)"

_KEY = sql.Columns(CandidateKey, "k", "id external_id candidate_name decision")
_SESSION = sql.Columns(
    Session,
    "s",
    "id created_at completed_at tests_passed derivation_version integrity_codes integrity_checked_at "
    "score_total score_highest score_spread score_criteria has_disagreement "
    + " ".join(metric.field for metric in METRICS),
)


class ResultRow(NamedTuple):
    """A candidate, and their session, whose id is None if there is none."""

    key: CandidateKey
    session: Session
    status: str
    position: ResultCursor
    has_hidden_scores: bool = False

    def without_scores(self) -> "ResultRow":
        """The row for a caller who has not scored the session yet (models/visibility.py)."""
        is_hidden = bool(self.session.score_criteria)
        for name in ("score_total", "score_highest", "score_spread", "score_criteria"):
            setattr(self.session, name, None)
        self.session.has_disagreement = False
        return self._replace(has_hidden_scores=is_hidden)


@dataclass(frozen=True)
class ResultList:
    """The results of an assessment that match all filters.

    sort -- a key of SORTS
    order -- `asc` or `desc`; results without a value are last in both
    filters -- `status`, `decision`, `external_id`, and the values of `search_filters`
    scorer_id -- the user who sees only the scores of sessions that they have scored themselves
    """

    assessment: Any
    sort: str
    order: str
    filters: Mapping[str, Any]
    scorer_id: Any = None

    def page(self, limit: int, after: ResultCursor | None = None) -> list[ResultRow]:
        """The first rows after a cursor."""
        values = {"assessment_id": self.assessment.id, "now": clock.now(), "rows": limit, **self.filters}
        if self._hides_scores:
            values["user_id"] = self.scorer_id
        if after:
            values |= {"after_group": after.group, "after_value": after.value, "after_id": after.id}
        return [self._row(*row) for row in sql.rows(self._statement(after), **values)]

    def all(self) -> Iterator[list[ResultRow]]:
        """All rows, BATCH_SIZE at a time."""
        position = None
        while batch := self.page(BATCH_SIZE, position):
            yield batch
            # After a row with an unreadable id, the database would return that row again.
            if len(batch) < BATCH_SIZE or batch[-1].position == position:
                return
            position = batch[-1].position

    def accepts(self, cursor: ResultCursor) -> bool:
        """Return whether a cursor belongs to this list."""
        kind = "none" if cursor.group else SORTS[self.sort].kind
        return (cursor.sort, cursor.order) == (self.sort, self.order) and FITS[kind](cursor.value)

    @property
    def _hides_scores(self) -> bool:
        """Return whether the order must not reveal scores."""
        return self.sort in ("scoreTotal", "scoreSpread") and self.scorer_id is not None

    def _statement(self, after: ResultCursor | None) -> str:
        value = SORTS[self.sort].value
        if self._hides_scores:
            value = _SEEN_SCORE.format(value=value)
        group = _GROUP.format(value=value)
        conditions = [_FILTERS[name] for name in self.filters]
        direction, follows = ("DESC", "<") if self.order == "desc" else ("ASC", ">")
        if after and after.group:
            conditions.append(
                f"({group} > :after_group OR {group} = :after_group AND {_ID} {follows} :after_id)"
            )
        elif after:
            conditions.append(f"({value} IS NULL OR ({value}, {_ID}) {follows} (:after_value, :after_id))")
        return f"""
            SELECT {group} AS result_group, {value} AS result_value, {sql.STATUS}, {_KEY.text}, {_SESSION.text}
            FROM candidate_keys k LEFT JOIN sessions s ON s.key_id = k.id AND s.assessment_id = :assessment_id
            WHERE k.assessment_id = :assessment_id AND (s.id IS NOT NULL OR k.revoked_at IS NULL)
              {"".join(f"AND {condition} " for condition in conditions)}
            ORDER BY result_group, result_value {direction}, {_ID} {direction} LIMIT :rows
        """

    def _row(self, group: int, value: Any, status: str, *columns: Any) -> ResultRow:
        key, session = _KEY.build(columns[: len(_KEY)]), _SESSION.build(columns[len(_KEY) :])
        cursor = ResultCursor(self.sort, self.order, group, value, session.id or key.id)
        return ResultRow(key, session, status, cursor)
