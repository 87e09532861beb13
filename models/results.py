"""Results of an assessment or organization: one row for each session and each candidate with an unredeemed key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

from models import sql, visibility
from models.assessments import Assessment
from models.base import clock
from models.keys import CandidateKey
from models.orgs import ApiToken
from models.rubrics import RubricVersion
from models.scores import Score
from models.sessions import Session
from models.tasks.runs import TestRun, hidden_tests
from rules.result_cursors import VALUE_CHECKS, ResultCursor
from rules.rows import row_id
from rules.statistics.cohorts import METRICS
from rules.statistics.fairness import DECISIONS
from rules.statistics.scoring import RECOMMENDATION

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
_PASSED_SHARE = _HIDDEN_TESTS.format(
    value="CAST(r.passed_count AS BIGINT) * 1000000 / NULLIF(r.total_count, 0)", states="('finished')"
)
_HIDDEN_OUTCOME = _HIDDEN_TESTS.format(
    value="CASE WHEN r.state = 'untrusted' THEN r.state WHEN r.passed_count = r.total_count THEN 'passed' "
    "ELSE 'failed' END",
    states="('finished', 'untrusted')",
)
# The total as a share of the highest total, then the share of hidden tests. A missing one is last. More digits of the
# total would not fit in 64 bits.
_RANK = f"""NULLIF(
        COALESCE({{total}} * 100000 / NULLIF(s.score_highest, 0) + 1, 0) * 1000002
        + COALESCE({_PASSED_SHARE} + 1, 0), 0
    )"""
SORTS = {
    "rank": Sort(_RANK),
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
_SCORED_BY_TOKEN = f"""
    SELECT 1 FROM scores x WHERE x.session_id = s.id AND x.reviewer_id = :token_id AND x.withdrawn_at IS NULL
      AND x.criterion <> '{RECOMMENDATION["key"]}'
"""
_IS_CLOSED = "s.closed_at IS NOT NULL"
# An erasure revokes the key. A revoked candidate cannot be decided.
_IS_UNDECIDED = "k.decision = 'undecided' AND k.revoked_at IS NULL"
# The same conditions as in models/todo.py. `erased` alone is not a finding to review.
VIEWS = {
    "undecided": f"{_IS_CLOSED} AND {_IS_UNDECIDED}",
    "to_score": f"{_IS_CLOSED} AND {_IS_UNDECIDED} AND a.rubric_id IS NOT NULL AND NOT EXISTS ({{scoring}})",
    "disagreement": f"{{has_disagreement}} AND {_IS_UNDECIDED}",
    "findings": f"""{_IS_CLOSED} AND CAST(s.integrity_codes AS TEXT) NOT IN ('[]', '["erased"]')""",
    **{decision: f"k.decision = '{decision}'" for decision in DECISIONS if decision != "undecided"},
    "not_started": "s.id IS NULL",
}
_FILTERS = {
    "decision": "k.decision = :decision",
    "external_id": "k.external_id = :external_id",
    "hidden_tests": f"COALESCE({_HIDDEN_OUTCOME}, 'none') = :hidden_tests",
    "pattern": "k.search_text LIKE :pattern ESCAPE '!'",
    "user_id": f"NOT {sql.HIDDEN}",
    "status": f"{sql.STATUS} = :status",
}
# Results with a value, then sessions without a value, then candidates without a session.
_GROUP = "CASE WHEN {value} IS NOT NULL THEN 0 WHEN {is_last} THEN 2 ELSE 1 END"
# The console's and the API's.
_DEFAULT_SORTS = ("rank", "redeemedAt")
_ID = "COALESCE(s.id, k.id)"

_KEY = sql.Columns(
    CandidateKey,
    "k",
    "id external_id candidate_name candidate_email expires_at erasure_requested_at decision decision_reason",
)
_SESSION = sql.Columns(
    Session,
    "s",
    "id created_at completed_at event_count tests_passed tests_passed_count derivation_version "
    "integrity_codes integrity_checked_at score_total score_highest score_spread score_criteria has_disagreement "
    "score_reviewers score_independent hidden_run_id " + " ".join(metric.field for metric in METRICS),
)
_ASSESSMENT = sql.Columns(Assessment, "a", "id title blind")
_DETAILS = "COALESCE(p.id, t.id), COALESCE(p.name, t.name), p.id IS NOT NULL, d.state"


class SessionColumns(SimpleNamespace):
    """The columns of _SESSION."""

    tests_passed_source = Session.tests_passed_source


class ResultRow(NamedTuple):
    """A candidate and their session. The session's id is None for an unredeemed key.

    key, session, assessment -- their columns
    decided_by -- id, name and kind of the decision's author
    """

    key: SimpleNamespace
    session: SessionColumns
    assessment: SimpleNamespace
    status: str
    position: ResultCursor
    decided_by: dict[str, Any] | None
    invite_state: str | None
    hidden_tests: TestRun | None = None
    has_hidden_scores: bool = False

    def without_scores(self) -> "ResultRow":
        """Hide the scores from a caller who must not see them yet (models/visibility.py)."""
        is_hidden = bool(self.session.score_criteria)
        hidden = ("score_total", "score_highest", "score_spread", "score_criteria")
        for name in (*hidden, "score_reviewers", "score_independent"):
            setattr(self.session, name, None)
        self.session.has_disagreement = False
        return self._replace(has_hidden_scores=is_hidden)


@dataclass(frozen=True)
class ResultList:
    """Results that match all filters.

    viewer -- the caller, from whom names and scores can be hidden
    assessment -- None for the organization's results
    sort -- a key of SORTS
    order -- `asc` or `desc`; results without a value are last in both
    filters -- `status`, `decision`, `external_id`, `hidden_tests`, and the result of `search_filters`
    view -- a key of VIEWS
    """

    viewer: ApiToken
    assessment: Any
    sort: str
    order: str
    filters: Mapping[str, Any]
    view: str | None = None

    def page(self, limit: int, after: ResultCursor | None = None) -> list[ResultRow]:
        values = self._values | {"rows": limit}
        if after:
            values |= {"after_group": after.group, "after_value": after.value, "after_id": after.id}
        rows = [self._row(*row) for row in sql.rows(self._statement(after), **values)]
        tested = [row.session.id for row in rows if row.session.hidden_run_id]
        hidden = hidden_tests(tested) if tested else {}
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

    def view_counts(self) -> dict[str, int]:
        """Count the results of each view, without filters. `all` counts all of them."""
        conditions = {"all": "TRUE"} | {name: self._view(name) for name in VIEWS}
        counts = ", ".join(f"COUNT(*) FILTER (WHERE {condition})" for condition in conditions.values())
        (row,) = sql.rows(f"SELECT {counts} {self._source}", **self._values)
        return dict(zip(conditions, row, strict=True))

    def criterion_titles(self) -> dict[str, str]:
        """Return the titles of the criteria in all versions of the assessment's rubric and of its sessions' scores.

        The latest version first, the assessment's rubric before others.
        """
        rubric_id = self.assessment.rubric_id
        scores = Score.select(Score.rubric_version).join(Session)
        scored = scores.where(Session.assessment == self.assessment.id).distinct()
        versions = RubricVersion.select().where(
            (RubricVersion.rubric == rubric_id) | RubricVersion.id.in_(scored)
        )
        titles: dict[str, str] = {}
        for version in sorted(versions, key=lambda each: (each.rubric_id != rubric_id, -each.number)):
            for criterion in version.criteria:
                titles.setdefault(criterion["key"], criterion["title"])
        return titles

    @property
    def _values(self) -> dict[str, Any]:
        owner = self.assessment or self.viewer
        values = (
            {"assessment_id": owner.id} if self.assessment else {"organization_id": owner.organization_id}
        )
        values |= {"user_id": self.viewer.user_id, "token_id": self.viewer.id, "now": clock.now()}
        return values | dict(self.filters)

    @property
    def _source(self) -> str:
        if self.assessment:
            session, owner = "AND s.assessment_id = :assessment_id", "k.assessment_id = :assessment_id"
        else:
            session, owner = "", "k.organization_id = :organization_id AND a.deleted_at IS NULL"
        return f"""
            FROM candidate_keys k JOIN assessments a ON a.id = k.assessment_id
            LEFT JOIN sessions s ON s.key_id = k.id {session}
            WHERE {owner} AND (s.id IS NOT NULL OR k.revoked_at IS NULL)
        """

    def _visible(self, value: str) -> str:
        """Return null instead of a value that depends on scores that are hidden from the viewer."""
        is_restricted = visibility.scores_independently(self.viewer)
        return f"CASE WHEN {sql.SCORES_VISIBLE} THEN {value} END" if is_restricted else value

    def _view(self, name: str) -> str:
        scoring = sql.SCORED_BY_USER if self.viewer.user_id else _SCORED_BY_TOKEN
        return VIEWS[name].format(scoring=scoring, has_disagreement=self._visible("s.has_disagreement"))

    @property
    def _sort_value(self) -> str:
        value = SORTS[self.sort].value
        if self.sort == "rank":
            return value.format(total=self._visible("s.score_total"))
        if self.sort == "candidateName" and self.viewer.user_id and not self.assessment:
            return f"CASE WHEN NOT {sql.HIDDEN} THEN {value} END"
        return self._visible(value) if self.sort in ("scoreTotal", "scoreSpread") else value

    def _statement(self, after: ResultCursor | None) -> str:
        value, is_last = self._sort_value, "s.id IS NULL"
        if self.view == "to_score" and self.sort in _DEFAULT_SORTS:
            # The same order as in models/todo.py. This view has no candidates without a session.
            is_last = "k.erasure_requested_at IS NOT NULL"
            value = f"CASE WHEN k.erasure_requested_at IS NULL THEN {value} END"
        group = _GROUP.format(value=value, is_last=is_last)
        conditions = [_FILTERS[name] for name in self.filters]
        if self.view:
            conditions.append(self._view(self.view))
        direction, follows = ("DESC", "<") if self.order == "desc" else ("ASC", ">")
        if after and after.group:
            conditions.append(
                f"({group} > :after_group OR {group} = :after_group AND {_ID} {follows} :after_id)"
            )
        elif after:
            conditions.append(f"({value} IS NULL OR ({value}, {_ID}) {follows} (:after_value, :after_id))")
        return f"""
            SELECT result_group, result_value, {sql.STATUS}, {_DETAILS},
                   {_ASSESSMENT.text}, {_KEY.text}, {_SESSION.text}
            FROM (
                SELECT k.id AS key_id, {group} AS result_group, {value} AS result_value
                {self._source} {"".join(f"AND {condition} " for condition in conditions)}
                ORDER BY result_group, result_value {direction}, {_ID} {direction} LIMIT :rows
            ) page
            JOIN candidate_keys k ON k.id = page.key_id JOIN assessments a ON a.id = k.assessment_id
            LEFT JOIN sessions s ON s.key_id = k.id LEFT JOIN deliveries d ON d.id = k.invitation_id
            LEFT JOIN api_tokens t ON t.id = k.decided_by_id LEFT JOIN users p ON p.id = t.user_id
            ORDER BY result_group, result_value {direction}, {_ID} {direction}
        """

    def _row(
        self, group: int, value: Any, status: str, by: Any, name: Any, is_person: Any, invite: Any, *rest: Any
    ) -> ResultRow:
        columns, rest = rest[: len(_ASSESSMENT)], rest[len(_ASSESSMENT) :]
        assessment = SimpleNamespace(**_ASSESSMENT.values(columns))
        key = SimpleNamespace(**_KEY.values(rest[: len(_KEY)]))
        session = SessionColumns(**_SESSION.values(rest[len(_KEY) :]))
        cursor = ResultCursor(self.sort, self.order, group, value, session.id or key.id)
        kind = "person" if is_person else "serviceAccount"
        decided_by = {"id": row_id(by), "name": name, "kind": kind} if by else None
        return ResultRow(key, session, assessment, status, cursor, decided_by, invite)
