"""What a candidate's calls of a model through the proxies used."""

from datetime import datetime
from typing import Any

import peewee

from errors import SessionClosed
from models.base import Model, TimestampField, clock, db
from models.keys import CandidateKey
from models.sessions import Session, prices
from rules import usage
from rules.usage_reader import Usage

_COLUMNS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cacheRead",
    "cache_write_tokens": "cacheWrite",
    "cache_write_1h_tokens": "cacheWrite1h",
}


class ModelUsage(Model):
    """One call of a model: when, how it ended, and what it used; nothing of what was asked or answered.

    `input_tokens` are those neither read from the cache nor written to it; `cache_write_1h_tokens` are the part
    of the written ones that lives for an hour. What the provider had not reported when the answer ended is None.
    `cost_nano_usd` is in billionths of a dollar, by the price of the day; None where the model has no price.
    """

    session_id: Any
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

    class Meta:
        table_name = "model_usage"

    @classmethod
    def keep(
        cls,
        session: Session,
        provider: str,
        used: Usage,
        *,
        started_at: datetime,
        status_code: int,
        is_whole: bool,
    ) -> None:
        """Store a call that ended just now.

        Called when the request is over, so it opens a connection of its own, and gives it back.
        """
        is_ours = db.is_closed()
        try:
            cls.create(
                session=session,
                provider=provider,
                model=used.model,
                started_at=started_at,
                # The clock may have been set back meanwhile.
                ended_at=max(clock.now(), started_at),
                status_code=status_code,
                is_whole=is_whole,
                **{column: used.counts.get(name) for column, name in _COLUMNS.items()},
                cost_nano_usd=_cost(used, started_at),
            )
        finally:
            if is_ours:
                db.close()

    @classmethod
    def by_model(cls, session: Session) -> list[dict[str, Any]]:
        """What a session's calls used, added up by provider and model; `calls` counts those too that failed."""
        names = (*_COLUMNS, "cost_nano_usd")
        sums = [peewee.fn.SUM(getattr(cls, name)).alias(name) for name in names]
        query = cls.select(cls.provider, cls.model, peewee.fn.COUNT(cls.id).alias("calls"), *sums)
        query = query.where(cls.session == session).group_by(cls.provider, cls.model)
        rows: Any = query.order_by(cls.provider, cls.model).dicts()
        # PostgreSQL adds integers up to a numeric.
        return [row | {name: row[name] and int(row[name]) for name in names} for row in rows]

    @classmethod
    def spent(cls, session: Session) -> int:
        """Billionths of a dollar that the session's calls have cost, as far as their costs are known."""
        total = cls.select(peewee.fn.SUM(cls.cost_nano_usd)).where(cls.session == session).scalar()
        return int(total or 0)


def _cost(used: Usage, at: datetime) -> int | None:
    report = usage.Report(int(at.timestamp()) * 10**9, False, False, None, used.model, used.counts, None)
    return usage.total([report], prices())[1]


def active_session(key: CandidateKey) -> Session:
    """The open session of a key; NotRedeemed before it has begun, SessionClosed after its close."""
    session = Session.of_key(key)
    if session.closed_as_of(clock.now()):
        raise SessionClosed()
    return session
