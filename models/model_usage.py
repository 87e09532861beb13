"""Tokens and cost of the model calls that candidates make through the proxy."""

from datetime import datetime
from typing import Any

import peewee

from models.base import Model, TimestampField, clock, db
from models.sessions import Session, prices
from rules import usage
from rules.usage import ReportedUsage

# The columns, and their names in a usage report.
_COUNTS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cacheRead",
    "cache_write_tokens": "cacheWrite",
    "cache_write_1h_tokens": "cacheWrite1h",
}


class ModelUsage(Model):
    """One model call: times, status, tokens and cost. Prompts and responses are not stored.

    `input_tokens` excludes tokens read from or written to the cache; `cache_write_1h_tokens` is the part of
    `cache_write_tokens` with a lifetime of one hour. Counts that the provider had not reported when the response
    ended are None. `cost_nano_usd` is in billionths of a dollar; None if the model has no price.
    """

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
    def record(
        cls, session: Session, provider: str, used: ReportedUsage, *, started_at: datetime, **columns: Any
    ) -> None:
        """Store a call that has just ended; `columns` are `status_code` and `is_whole`.

        It runs after the request has closed its connection, so it closes the one that it opens.
        """
        columns |= {column: used.counts.get(name) for column, name in _COUNTS.items()}
        time_ns = int(started_at.timestamp()) * 10**9
        report = usage.UsageReport(time_ns, False, False, None, used.model, used.counts, None)
        cost = usage.total_usage([report], prices())[1]
        # The clock may have been set back during the call.
        columns |= {"started_at": started_at, "ended_at": max(clock.now(), started_at)}
        opens_connection = db.is_closed()
        try:
            cls.create(session=session, provider=provider, model=used.model, cost_nano_usd=cost, **columns)
        finally:
            if opens_connection:
                db.close()

    @classmethod
    def by_model(cls, session: Session) -> list[dict[str, Any]]:
        """A session's usage, summed by provider and model. `calls` includes failed calls."""
        names = (*_COUNTS, "cost_nano_usd")
        sums = [peewee.fn.SUM(getattr(cls, name)).alias(name) for name in names]
        query = cls.select(cls.provider, cls.model, peewee.fn.COUNT(cls.id).alias("calls"), *sums)
        query = query.where(cls.session == session).group_by(cls.provider, cls.model)
        rows: Any = query.order_by(cls.provider, cls.model).dicts()
        # PostgreSQL's sum of bigints is a numeric.
        return [row | {name: row[name] and int(row[name]) for name in names} for row in rows]

    @classmethod
    def spent_nano_usd(cls, session: Session) -> int:
        """The known cost of a session's calls."""
        total = cls.select(peewee.fn.SUM(cls.cost_nano_usd)).where(cls.session == session).scalar()
        return int(total or 0)
