"""Counters (rules/statistics/rollups.py): statistics of cohorts and totals of keys (R19 to R22)."""

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from operator import or_
from random import randrange
from typing import Any

import peewee

from models.assessments import Assessment
from models.base import Table, for_update
from rules.statistics import rollups

BATCH_SIZE = 500


class CohortRollup(Table):
    """The totals of an assessment's closed sessions, and the lock under which they change.

    The totals are JSON, so that sums stay exact even if clients' clocks are wrong by centuries.
    """

    personal_data = None  # totals of several sessions
    assessment = peewee.ForeignKeyField(Assessment, primary_key=True)
    totals = peewee.JSONField()

    @classmethod
    def replace_session(cls, assessment_id: Any, old: dict[str, Any] | None, new: dict[str, Any]) -> None:
        """Count a session's `new` columns instead of its `old` ones (None before it joins the cohort).

        Runs in the transaction that changes them, with the session locked. The rollup's row is locked last, so that
        closes of one assessment wait only for each other's commit.
        """
        rollup = cls.locked_for(assessment_id)
        totals = rollups.difference(rollups.totals(old), rollups.totals(new))
        counts = rollups.difference(rollups.counts(old), rollups.counts(new))
        if totals:
            rollup.set_totals(Counter(rollup.totals) + Counter(totals))
        if counts:
            CohortCount.add(assessment_id, counts)

    @classmethod
    def locked_for(cls, assessment_id: Any) -> "CohortRollup":
        """The assessment's row, created if missing, locked until the transaction ends."""
        row = for_update(cls.select().where(cls.assessment == assessment_id))
        if found := row.get_or_none():
            return found
        cls.insert(assessment=assessment_id, totals={}).on_conflict_ignore().execute()
        return row.clone().get()

    def set_totals(self, totals: Mapping[str, int]) -> None:
        self.totals = dict(totals)
        self.save(only=[CohortRollup.totals])


class CohortCount(Table):
    """One counter in a metric's tree: how many sessions of the cohort fall into a bucket of a level.

    The metric KEYS counts the assessment's keys that are not revoked. A counter that falls to 0 is deleted. There is no
    foreign key: it would be checked for each of the 24 rows that a close writes.
    """

    personal_data = None  # totals of several sessions
    assessment_id = peewee.UUIDField()
    metric = peewee.SmallIntegerField()
    level = peewee.SmallIntegerField()
    bucket = peewee.BigIntegerField()
    n = peewee.BigIntegerField()

    class Meta:
        primary_key = peewee.CompositeKey("assessment_id", "metric", "level", "bucket")

    @classmethod
    def add(cls, assessment_id: Any, counts: Mapping[rollups.Place, int]) -> None:
        """Add to counters; to those of sessions with the rollup's row locked."""
        rows = [(assessment_id, *place, n) for place, n in counts.items()]
        key = [cls.assessment_id, cls.metric, cls.level, cls.bucket]
        for batch in peewee.chunked(rows, BATCH_SIZE):
            insert = cls.insert_many(batch, fields=[*key, cls.n])
            insert.on_conflict(conflict_target=key, update={cls.n: cls.n + peewee.EXCLUDED.n}).execute()
        # Each by its full key: a condition on n alone would read all counters of the cohort.
        decreased = [
            (cls.metric == metric) & (cls.level == level) & (cls.bucket == bucket)
            for (metric, level, bucket), n in counts.items()
            if n < 0
        ]
        if decreased:
            is_empty = reduce(or_, decreased) & (cls.n == 0)
            cls.delete().where(cls.assessment_id == assessment_id, is_empty).execute()

    @classmethod
    def add_keys(cls, assessment_id: Any, n: int) -> None:
        """Add to the number of keys, in the transaction that changes them and before any rollup is locked."""
        cls.add(assessment_id, {(rollups.KEYS, 0, randrange(rollups.STRIPES)): n})

    @classmethod
    def is_of_cohort(cls, assessment: Assessment) -> peewee.Expression:
        """Select the counters of the assessment's sessions, without those of its keys."""
        return (cls.assessment_id == assessment.id) & (cls.metric != rollups.KEYS)

    @classmethod
    def of(cls, assessment: Assessment) -> Counter[rollups.Place]:
        """All counters of a cohort."""
        query = cls.select(cls.metric, cls.level, cls.bucket, cls.n)
        rows: Any = query.where(cls.is_of_cohort(assessment)).tuples()
        return Counter({tuple(place): n for *place, n in rows})
