"""Results of an assessment: one row for each session and each candidate who has not redeemed their key.

A list is read in parts, such as the sessions with a value, those without, and the other candidates. Each part is a
range of one index in its order, so that a page costs the same in a short and in a long list.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from models import sql
from models.base import clock
from models.keys import CandidateKey
from models.sessions import Session
from rules.result_cursors import FITS, ResultCursor
from rules.statistics.cohorts import METRICS
from rules.statistics.fairness import DECISIONS

BATCH_SIZE = 500


class Part(NamedTuple):
    """A part of a list.

    source -- a key of `_SOURCES`
    value -- the column that orders it, before the id; "" if only the id does
    kind -- of the value, a key of `FITS`
    """

    source: str
    condition: str = "TRUE"
    value: str = ""
    kind: str = "none"


class _Source(NamedTuple):
    """The rows of a part: where they come from, the id that orders them, and the conditions of the filters."""

    table: str
    joined: str  # with filters
    key: str
    id: str
    condition: str
    filters: dict[str, str]


_OF_KEY = {
    "decision": "k.decision = :decision",
    "external_id": "k.organization_id = :organization_id AND k.external_id = :external_id",
    "pattern": "k.search_text LIKE :pattern ESCAPE '!'",
    "user_id": f"NOT {sql.HIDDEN}",
}
_SOURCES = {
    "sessions": _Source(
        "sessions s",
        "JOIN candidate_keys k ON k.id = s.key_id",
        "s.key_id",
        "s.id",
        "s.assessment_id = :assessment_id",
        _OF_KEY | {"status": f"({sql.SESSION_STATE}) = :status"},
    ),
    "waiting": _Source(
        "candidate_keys k",
        "",
        "k.id",
        "k.id",
        "k.assessment_id = :assessment_id AND NOT k.is_redeemed AND k.revoked_at IS NULL",
        _OF_KEY | {"status": ":status = CASE WHEN k.expires_at <= :now THEN 'expired' ELSE 'pending' END"},
    ),
    "keys": _Source(
        "candidate_keys k",
        "LEFT JOIN sessions s ON s.key_id = k.id",
        "k.id",
        "k.id",
        "k.assessment_id = :assessment_id AND (k.is_redeemed OR k.revoked_at IS NULL)",
        _OF_KEY | {"status": f"{sql.STATUS} = :status"},
    ),
}
_WAITING = Part("waiting", value="k.expires_at", kind="time")


def _by_session(column: str, kind: str) -> tuple[Part, ...]:
    """The sessions with a value, those without, and the candidates who have no session."""
    value = f"s.{column}"
    return (
        Part("sessions", f"{value} IS NOT NULL", value, kind),
        Part("sessions", f"{value} IS NULL"),
        _WAITING,
    )


def _by_state(state: str) -> Part:
    return Part("sessions", f"({sql.SESSION_STATE}) = '{state}'")


_PENDING = _WAITING._replace(condition="k.expires_at > :now")
_EXPIRED = _WAITING._replace(condition="k.expires_at <= :now")
_STATES = (
    _PENDING,
    _by_state("active"),
    _by_state("completed"),
    _by_state("expired"),
    _EXPIRED,
    _by_state("hired"),
)
_NAMES = (
    Part("keys", "k.sort_name IS NOT NULL", "k.sort_name", "text"),
    Part("keys", "k.sort_name IS NULL"),
)
SORTS: dict[str, tuple[Part, ...]] = {
    "candidateName": _NAMES,
    "status": _STATES,
    "redeemedAt": (Part("sessions", value="s.created_at", kind="time"), _WAITING),
    "completedAt": _by_session("completed_at", "time"),
    **{metric.name: _by_session(metric.field, "integer") for metric in METRICS},
    "testsPassed": _by_session("tests_passed", "flag"),
    "scoreTotal": _by_session("score_total", "integer"),
    "scoreSpread": _by_session("score_spread", "integer"),
    "decision": tuple(Part("keys", f"k.decision = '{decision}'") for decision in DECISIONS),
}
_NO_ROWS = "SELECT 0 AS part, id AS key_id FROM candidate_keys WHERE 1 = 0"
# By the scores that a person sees: the others are in no order, and no cursor contains them (models/visibility.py).
_IS_SCORED = """EXISTS (
        SELECT 1 FROM completed_scorings c WHERE c.session_id = s.id AND c.user_id = :user_id
    )"""


def _by_seen_score(column: str) -> tuple[Part, ...]:
    return (
        Part("sessions", f"s.{column} IS NOT NULL AND {_IS_SCORED}", f"s.{column}", "integer"),
        Part("sessions", f"(s.{column} IS NULL OR NOT {_IS_SCORED})"),
        _WAITING,
    )


_BY_SEEN_SCORE = {
    "scoreTotal": _by_seen_score("score_total"),
    "scoreSpread": _by_seen_score("score_spread"),
}
# These parts have an order of their own; in the others, the rows without a value are last in both orders.
_REVERSED = ("status", "decision")

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
        """The row as the caller sees it while they score the session alone (models/visibility.py)."""
        is_hidden = bool(self.session.score_criteria)
        for name in ("score_total", "score_highest", "score_spread", "score_criteria"):
            setattr(self.session, name, None)
        self.session.has_disagreement = False
        return self._replace(has_hidden_scores=is_hidden)


@dataclass(frozen=True)
class ResultList:
    """The results of an assessment that match all filters.

    sort -- a key of SORTS
    order -- `asc` or `desc`; rows without a value are last in both
    filters -- `status`, `decision`, `external_id`, and those of `search_filters`
    scorer_id -- the person who sees only the scores of sessions that they have scored themselves
    """

    assessment: Any
    sort: str
    order: str
    filters: Mapping[str, Any]
    scorer_id: Any = None

    def page(self, limit: int, after: ResultCursor | None = None) -> list[ResultRow]:
        """The first rows after a cursor. One statement, however many rows there are."""
        values = {"assessment_id": self.assessment.id, "organization_id": self.assessment.organization_id}
        values |= {"now": clock.now(), "rows": limit, **self.filters}
        if self._hides_scores:
            values["user_id"] = self.scorer_id
        if after:
            values |= {"after_value": after.value, "after_id": after.id}
        return [self._row(*row) for row in sql.rows(self._statement(after), **values)]

    def all(self) -> Iterator[list[ResultRow]]:
        """All rows, BATCH_SIZE at a time."""
        position = None
        while batch := self.page(BATCH_SIZE, position):
            yield batch
            # After a row whose id is unreadable, the database would return it again.
            if len(batch) < BATCH_SIZE or batch[-1].position == position:
                return
            position = batch[-1].position

    def accepts(self, cursor: ResultCursor) -> bool:
        """Return whether a cursor belongs to this list."""
        is_own = (cursor.sort, cursor.order) == (self.sort, self.order) and cursor.part < len(self._parts)
        return is_own and FITS[self._parts[cursor.part].kind](cursor.value)

    @property
    def _parts(self) -> tuple[Part, ...]:
        parts = _BY_SEEN_SCORE[self.sort] if self._hides_scores else SORTS[self.sort]
        return parts[::-1] if self.sort in _REVERSED and self.order == "desc" else parts

    @property
    def _hides_scores(self) -> bool:
        """Return whether the order must not show scores."""
        return self.sort in _BY_SEEN_SCORE and self.scorer_id is not None

    def _statement(self, after: ResultCursor | None) -> str:
        first = after.part if after else 0
        numbered = [(number, part) for number, part in enumerate(self._parts) if number >= first]
        texts = [
            self._part(number, part, is_continued=after is not None and number == first)
            for number, part in numbered
            if self._can_match(part)
        ]
        page = " UNION ALL ".join(f"SELECT * FROM ({text}) part_{n}" for n, text in enumerate(texts))
        order = ["page.part", *(self._directed(column) for column in (self._value, *self._ids) if column)]
        return f"""
            WITH page AS ({page or _NO_ROWS})
            SELECT page.part, {self._value or "NULL"}, k.expires_at, {sql.STATUS}, {_KEY.text}, {_SESSION.text}
            FROM page JOIN candidate_keys k ON k.id = page.key_id LEFT JOIN sessions s ON s.key_id = k.id
            ORDER BY {", ".join(order)} LIMIT :rows
        """

    def _part(self, number: int, part: Part, is_continued: bool) -> str:
        source = _SOURCES[part.source]
        columns = [column for column in (part.value, source.id) if column]
        conditions = [source.condition, part.condition, *(source.filters[name] for name in self.filters)]
        if is_continued:
            after = ":after_value, :after_id" if part.value else ":after_id"
            conditions.append(f"({', '.join(columns)}) {'<' if self.order == 'desc' else '>'} ({after})")
        return f"""
            SELECT {number} AS part, {source.key} AS key_id FROM {source.table} {source.joined if self.filters else ""}
            WHERE {" AND ".join(conditions)} ORDER BY {", ".join(map(self._directed, columns))} LIMIT :rows
        """

    def _directed(self, column: str) -> str:
        return f"{column} DESC" if self.order == "desc" else column

    def _can_match(self, part: Part) -> bool:
        """Return whether the part can have rows with the status of the filter."""
        status = self.filters.get("status")
        of_source = {"sessions": status != "pending", "waiting": status in (None, "pending", "expired")}
        return of_source.get(part.source, True)

    @property
    def _value(self) -> str:
        """The column that orders the sessions or keys of all parts; "" without one."""
        value = next((part.value for part in self._parts if part.value and part.source != "waiting"), "")
        return f"CASE WHEN page.part = 0 THEN {value} END" if self._hides_scores else value

    @property
    def _ids(self) -> tuple[str, ...]:
        """The columns that order rows with equal values; those of other parts are null or the id is unique."""
        return ("k.id",) if self._parts[0].source == "keys" else ("s.id", "k.expires_at", "k.id")

    def _row(self, number: int, value: Any, expires_at: Any, status: str, *columns: Any) -> ResultRow:
        key, session = _KEY.build(columns[: len(_KEY)]), _SESSION.build(columns[len(_KEY) :])
        part = self._parts[number]
        row = session if part.source == "sessions" else key
        value = expires_at if part.source == "waiting" else value if part.value else None
        return ResultRow(key, session, status, ResultCursor(self.sort, self.order, number, value, row.id))
