"""Token usage and cost of model calls through the proxy, and their budget reservations (R42)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, NamedTuple, Self

import peewee

from errors import NotFound, NotRedeemed
from models import sql
from models.assessments import Assessment
from models.base import Model, PersonalData, Query, TimestampField, clock, db, is_postgres, utc_month
from models.fields import IntegerField, TextField
from models.keys import CandidateKey
from models.ledger.listed import ListedModel
from models.orgs import Organization
from models.sessions import Session, list_channels
from rules.integrity.unrecorded_calls import ModelCall
from rules.metrics.usage import ReportedUsage

# Names in a usage report, by column.
_COUNTS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cacheRead",
    "cache_write_tokens": "cacheWrite",
    "cache_write_1h_tokens": "cacheWrite1h",
}
# Running calls renew their reservations more often (proxy/renewals.py). Reservations of a dead process expire.
RESERVATION_LIFETIME = timedelta(seconds=90)
_SUMMED = (*_COUNTS, "cost_nano_usd")
MAX_AGENT_SESSIONS = 100
MAX_CONVERSATIONS = 10


class ModelUsage(ListedModel):
    """One model call: times, status, tokens and cost. Prompts and responses are in the session's events.

    `input_tokens` excludes tokens read from or written to the cache; `cache_write_tokens` includes
    `cache_write_1h_tokens`, cached for one hour. Counts that were neither reported nor estimated are None.
    `cost_nano_usd` is in billionths of a dollar. `request_id` is the provider's; `tool` and `agent_session` are as in
    a recorded event. `is_recorded` is true if all of the call's events were stored; None if there are none to store.
    """

    TRACES = ("request_id", "tool", "agent_session", "first_token_ms")
    personal_data = PersonalData(
        "modelCalls", "Calls of your AI coding tools to models: tool, model, times, tokens and cost."
    )

    # All but TRACES, which an erasure clears.
    signed = (
        *("id", "session", "provider", "model", "started_at", "ended_at", "status_code", "is_whole"),
        *(*_COUNTS, "cost_nano_usd", "is_recorded", "created_at"),
    )

    session = peewee.ForeignKeyField(Session)
    provider = peewee.TextField()
    model = peewee.TextField(null=True)
    started_at = TimestampField()
    ended_at = TimestampField()
    status_code = peewee.IntegerField()
    is_whole = peewee.BooleanField()
    input_tokens = peewee.BigIntegerField(null=True)
    output_tokens = peewee.BigIntegerField(null=True)
    cache_read_tokens = peewee.BigIntegerField(null=True)
    cache_write_tokens = peewee.BigIntegerField(null=True)
    cache_write_1h_tokens = peewee.BigIntegerField(null=True)
    cost_nano_usd = peewee.BigIntegerField(null=True)
    request_id = TextField(null=True)
    tool = TextField(null=True)
    agent_session = TextField(null=True)
    first_token_ms = IntegerField(null=True)
    is_recorded = peewee.BooleanField(null=True)

    class Meta:
        table_name = "model_usage"

    @classmethod
    def record(
        cls,
        session: Session,
        usage: ReportedUsage,
        *,
        started_at: datetime,
        reservation: "ModelReservation | None" = None,
        store_events: Callable[[], dict[str, Any]] = dict,
        **columns: Any,
    ) -> None:
        """Store a completed call, and release its reservation.

        store_events -- stores the call's events in the same transaction, under the session's lock, and returns
            additional columns, or {} if it stored nothing
        columns -- `provider`, `cost_nano_usd`, `status_code`, `is_whole`; also TRACES and `is_recorded`, if known
        """
        columns |= {column: usage.counts.get(name) for column, name in _COUNTS.items()}
        # The clock can move backward during the call.
        columns |= {"started_at": started_at, "ended_at": max(clock.now(), started_at)}
        with db.atomic():
            event_columns = store_events()
            # A call can end after an erasure, which also locks the session. Events cannot be stored after it.
            if not event_columns and session.is_erased_when_locked():
                columns |= dict.fromkeys(cls.TRACES)
            columns |= event_columns
            cls.create(session=session, model=usage.model, **columns)
            if reservation:
                reservation.delete_instance()

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Any) -> Query:
        return cls.select().where(cls.session == session)

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Any) -> int:
        """Clear TRACES; keep the numbers."""
        traces = [getattr(cls, name) for name in cls.TRACES]
        has_trace = reduce(or_, [column.is_null(False) for column in traces])
        return cls.update(dict.fromkeys(traces)).where(cls.session == session, has_trace).execute()

    @classmethod
    def by_model(cls, session: Session) -> list[dict[str, Any]]:
        """Sum a session's usage by provider and model. `calls` includes failed calls."""
        rows = cls._summed(cls.provider, cls.model).where(cls.session == session)
        return cls._with_integers(rows.order_by(cls.provider, cls.model.asc(nulls="first")))

    @classmethod
    def by_month(cls, organization: Organization, since: datetime) -> list[dict[str, Any]]:
        """Sum an organization's usage by month (UTC), provider and model; newest month first."""
        month = utc_month(cls.started_at).alias("month")
        sessions = peewee.fn.COUNT(peewee.fn.DISTINCT(cls.session)).alias("sessions")
        query = cls._summed(month, cls.provider, cls.model).select_extend(sessions).join(Session)
        rows = query.where(Session.organization == organization, cls.started_at >= since)
        usage = cls._with_integers(rows.order_by(cls.provider, cls.model.asc(nulls="first")))
        for row in usage:
            cost = row["cost_nano_usd"]
            row["cost_usd"] = None if cost is None else cost / 10**9
        return sorted(usage, key=lambda row: (row["month"], row["cost_nano_usd"] or 0), reverse=True)

    @classmethod
    def _summed(cls, *groups: Any) -> Query:
        sums = [peewee.fn.SUM(getattr(cls, name)).alias(name) for name in _SUMMED]
        return cls.select(*groups, peewee.fn.COUNT(cls.id).alias("calls"), *sums).group_by(*groups)

    @classmethod
    def _with_integers(cls, query: Any) -> list[dict[str, Any]]:
        # PostgreSQL's sum of bigints is a numeric.
        return [row | {name: row[name] and int(row[name]) for name in _SUMMED} for row in query.dicts()]

    @classmethod
    def agent_sessions(cls, session: Session, tool: str | None) -> set[str]:
        """Return a tool's latest agent sessions in a session, at most MAX_AGENT_SESSIONS."""
        query = cls.select(cls.agent_session).where(cls.session == session, cls.agent_session.is_null(False))
        query = query.where(cls.tool.is_null() if tool is None else cls.tool == tool)
        latest = query.group_by(cls.agent_session).order_by(peewee.fn.MAX(cls.started_at).desc())
        rows: Any = latest.limit(MAX_AGENT_SESSIONS).tuples()
        return {name for (name,) in rows}

    @classmethod
    def conversations(cls, session: Session, agent_session: str) -> list[tuple[str, datetime]]:
        """Return the conversations with this id or one derived from it, latest first, and their starts."""
        started_at = peewee.fn.MIN(cls.started_at)
        query = cls.select(cls.agent_session, started_at.converter(cls.started_at.python_value))
        query = query.where(cls.session == session, cls.agent_session.startswith(agent_session))
        query = query.group_by(cls.agent_session).order_by(started_at.desc())
        rows: Any = query.limit(MAX_CONVERSATIONS).tuples()
        return list(rows)

    @classmethod
    def unrecorded(cls, session: Session) -> list[ModelCall]:
        """Return a session's successful calls whose events were not all stored."""
        query = cls.select(*(getattr(cls, name) for name in ModelCall._fields))
        is_unrecorded = cls.is_recorded.is_null() | ~cls.is_recorded
        rows: Any = query.where(cls.session == session, is_unrecorded, cls.status_code < 400).tuples()
        return [ModelCall(*row) for row in rows]

    @classmethod
    def recorded_calls(cls, session: Session) -> dict[str, int]:
        """Count a session's successful calls (`total`), and those whose events were all stored."""
        recorded = peewee.fn.COUNT(peewee.Case(None, ((cls.is_recorded, 1),)))
        query = cls.select(peewee.fn.COUNT(cls.id).alias("total"), recorded.alias("content_recorded"))
        counts: Any = query.where(cls.session == session, cls.status_code < 400).dicts()
        return counts.get()

    @classmethod
    def summary(cls, session: Session) -> dict[str, Any]:
        """Return the cost of a session's completed calls, and the last call's `status_code` and `ended_at`."""
        spent = peewee.fn.SUM(cls.cost_nano_usd).over().alias("spent_nano_usd")
        calls = cls.select(cls.status_code, cls.ended_at, spent).where(cls.session == session)
        last: Any = calls.order_by(cls.id.desc()).dicts().first()
        row = last or {"status_code": None, "ended_at": None, "spent_nano_usd": 0}
        return row | {"spent_nano_usd": int(row["spent_nano_usd"] or 0)}

    @classmethod
    def spent_nano_usd(cls, session: Session) -> int:
        """Sum the cost of a session's completed calls."""
        total = cls.select(peewee.fn.SUM(cls.cost_nano_usd)).where(cls.session == session).scalar()
        return int(total or 0)


class ModelReservation(Model):
    """The maximum cost of a running call, reserved in the session's budget, in billionths of a dollar (R42)."""

    personal_data = None  # only numbers
    session = peewee.ForeignKeyField(Session)
    nano_usd = peewee.BigIntegerField()
    expires_at = TimestampField()

    @classmethod
    def reserve(cls, session: Session, nano_usd: int, budget_nano_usd: int) -> Self | None:
        """Reserve a call's maximum cost if any budget is left, otherwise return None.

        Raises NotFound if the session was erased.
        """
        with db.atomic():
            lock = "FOR NO KEY UPDATE" if is_postgres() else ""
            if not sql.rows(sql.LOCKED_SESSION.format(lock=lock), session_id=session.id):
                raise NotFound()  # erased
            now = clock.now()
            sql.execute(sql.DELETE_EXPIRED_RESERVATIONS, session_id=session.id, now=now)
            reservation = cls(session=session, created_at=now, expires_at=now + RESERVATION_LIFETIME)
            inserted = sql.rows(
                sql.RESERVE,
                id=reservation.id,
                now=now,
                session_id=session.id,
                nano_usd=nano_usd,
                budget_nano_usd=budget_nano_usd,
                expires_at=reservation.expires_at,
            )
        return reservation if inserted else None

    @classmethod
    def renew(cls, ids: list[int]) -> None:
        """Extend the reservations of running calls."""
        expires_at = clock.now() + RESERVATION_LIFETIME
        cls.update(expires_at=expires_at).where(cls.id.in_(ids)).execute()


class ModelCaller(NamedTuple):
    """A key's session and its assessment, with only the columns that model calls use.

    channels -- the channels that the candidate consented to (R38)
    spent_nano_usd -- the cost of the session's completed calls
    """

    session: Session
    channels: list[Any]
    spent_nano_usd: int

    @classmethod
    def of(cls, key: CandidateKey) -> "ModelCaller":
        """Read everything in one statement. Raises NotRedeemed (R29)."""
        text = sql.MODEL_CALLER.format(session=_SESSION.text, assessment=_ASSESSMENT.text)
        rows = sql.rows(text, key_id=key.id)
        if not rows:
            raise NotRedeemed()
        spent, _, *columns = rows[0]
        session = _SESSION.build(columns[: len(_SESSION)])
        session.assessment = _ASSESSMENT.build(columns[len(_SESSION) :])
        return cls(session, list_channels(row[1] for row in rows), int(spent or 0))


_SESSION = sql.Columns(Session, "s", "id created_at organization assessment key closes_at closed_at")
_ASSESSMENT = sql.Columns(Assessment, "a", "id allowed_tools token_budget_nano_usd")
