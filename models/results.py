"""An assessment's results: one row for each session and each candidate with an unredeemed key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from models import sql
from models.base import clock
from models.keys import CandidateKey
from models.sessions import Session
from models.tasks.runs import TestRun, hidden_tests
from rules.result_cursors import VALUE_CHECKS, ResultCursor
from rules.statistics.cohorts import METRICS
from rules.statistics.fairness import DECISIONS

BATCH_SIZE = 2000
STATUSES = ("pending", "active", "completed", "expired", "hired")


class Sort(NamedTuple):
    """A sort order.

    value -- the SQL expression; results without a value are last
    kind -- a key of `VALUE_CHECKS`
    """

    value: str
    kind: str = "integer"


def _position(value: str, names: Sequence[str]) -> Sort:
    cases = " ".join(f"WHEN '{name}' THEN {number}" for number, name in enumerate(names))
    return Sort(f"CASE {value} {cases} END")


# From the run that results show. Excludes runs of older tests, which cannot be compared.
_HIDDEN_TESTS = """(
        SELECT {value} FROM test_runs r JOIN task_files f ON f.id = r.tests_id AND f.replaced_at IS NULL
        WHERE r.id = s.hidden_run_id AND r.session_id = s.id AND r.state IN {states}
    )"""
_PASSED_COUNT = _HIDDEN_TESTS.format(value="r.passed_count", states="('finished')")
_HIDDEN_OUTCOME = _HIDDEN_TESTS.format(
    value="CASE WHEN r.state = 'untrusted' THEN r.state WHEN r.passed_count = r.total_count THEN 'passed' "
    "ELSE 'failed' END",
    states="('finished', 'untrusted')",
)
SORTS = {
    "candidateName": Sort("k.sort_name", "text"),
    "status": _position(sql.STATUS, STATUSES),
    "redeemedAt": Sort("s.created_at", "time"),
    "completedAt": Sort("s.completed_at", "time"),
    **{metric.name: Sort(f"s.{metric.field}") for metric in METRICS},
    "testsPassed": Sort("CASE WHEN s.tests_passed THEN 1 WHEN NOT s.tests_passed THEN 0 END"),
    "hiddenTests": Sort(_PASSED_COUNT),
    "scoreTotal": Sort("s.score_total"),
    "scoreSpread": Sort("s.score_spread"),
    "decision": _position("k.decision", DECISIONS),
}
# Null for sessions whose scores are hidden from the user.
_VISIBLE_SCORE = f"CASE WHEN {sql.SCORES_VISIBLE} THEN {{value}} END"
_FILTERS = {
    "decision": "k.decision = :decision",
    "external_id": "k.external_id = :external_id",
    "hidden_tests": f"COALESCE({_HIDDEN_OUTCOME}, 'none') = :hidden_tests",
    "pattern": "k.search_text LIKE :pattern ESCAPE '!'",
    "user_id": f"NOT {sql.HIDDEN}",
    "status": f"{sql.STATUS} = :status",
}
# Results with a value, then sessions without a value, then candidates without a session.
_GROUP = "CASE WHEN {value} IS NOT NULL THEN 0 WHEN s.id IS NOT NULL THEN 1 ELSE 2 END"
_ID = "COALESCE(s.id, k.id)"

_KEY = sql.Columns(CandidateKey, "k", "id external_id candidate_name decision")
_SESSION = sql.Columns(
    Session,
    "s",
    "id created_at completed_at tests_passed tests_passed_count derivation_version "
    "integrity_codes integrity_checked_at score_total score_highest score_spread score_criteria has_disagreement "
    + " ".join(metric.field for metric in METRICS),
)


class ResultRow(NamedTuple):
    """A candidate and their session. The session's id is None for an unredeemed key."""

    key: CandidateKey
    session: Session
    status: str
    position: ResultCursor
    hidden_tests: TestRun | None = None
    has_hidden_scores: bool = False

    def without_scores(self) -> "ResultRow":
        """Hide the scores from a caller who must not see them yet (models/visibility.py)."""
        is_hidden = bool(self.session.score_criteria)
        for name in ("score_total", "score_highest", "score_spread", "score_criteria"):
            setattr(self.session, name, None)
        self.session.has_disagreement = False
        return self._replace(has_hidden_scores=is_hidden)


@dataclass(frozen=True)
class ResultList:
    """An assessment's results that match all filters.

    sort -- a key of SORTS
    order -- `asc` or `desc`; results without a value are last in both
    filters -- `status`, `decision`, `external_id`, `hidden_tests`, and the result of `search_filters`
    scorer_id -- the user, if some sessions' scores can be hidden from them
    """

    assessment: Any
    sort: str
    order: str
    filters: Mapping[str, Any]
    scorer_id: Any = None

    def page(self, limit: int, after: ResultCursor | None = None) -> list[ResultRow]:
        values = {"assessment_id": self.assessment.id, "now": clock.now(), "rows": limit, **self.filters}
        if self._hides_scores:
            values["user_id"] = self.scorer_id
        if after:
            values |= {"after_group": after.group, "after_value": after.value, "after_id": after.id}
        rows = [self._row(*row) for row in sql.rows(self._statement(after), **values)]
        hidden = hidden_tests(row.session.id for row in rows if row.session.id)
        return [row._replace(hidden_tests=hidden.get(row.session.id)) for row in rows]

    def all(self) -> Iterator[list[ResultRow]]:
        """Yield all rows, BATCH_SIZE at a time."""
        position = None
        while batch := self.page(BATCH_SIZE, position):
            yield batch
            # Otherwise, a row with an unreadable id would be returned forever.
            if len(batch) < BATCH_SIZE or batch[-1].position == position:
                return
            position = batch[-1].position

    def accepts(self, cursor: ResultCursor) -> bool:
        """Return whether a cursor came from this list."""
        kind = "none" if cursor.group else SORTS[self.sort].kind
        return (cursor.sort, cursor.order) == (self.sort, self.order) and VALUE_CHECKS[kind](cursor.value)

    @property
    def _hides_scores(self) -> bool:
        """True if the sort order would reveal hidden scores."""
        return self.sort in ("scoreTotal", "scoreSpread") and self.scorer_id is not None

    def _statement(self, after: ResultCursor | None) -> str:
        value = SORTS[self.sort].value
        if self._hides_scores:
            value = _VISIBLE_SCORE.format(value=value)
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
