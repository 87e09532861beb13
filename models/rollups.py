"""Counters of each cohort, so that its statistics cost the same for ten sessions and for a million (R19 to R22).

What is counted is defined in rules/rollups.py and nowhere else.
"""

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

import peewee

from models.assessments import Assessment
from models.base import db, for_update
from rules import rollups

BATCH_SIZE = 500


class CohortRollup(peewee.Model):
    """The totals of an assessment's closed sessions, and the lock under which they change.

    The totals are JSON, so that sums stay exact even where clients' clocks are wrong by centuries.
    """

    assessment_id: Any
    assessment = peewee.ForeignKeyField(Assessment, primary_key=True)
    totals = peewee.JSONField()

    class Meta:
        database = db
        table_name = "cohort_rollups"
        legacy_table_names = False

    @classmethod
    def replace_session(
        cls, assessment_id: Any, old: Mapping[str, Any] | None, new: Mapping[str, Any]
    ) -> None:
        """Count a session's `new` columns instead of its `old` ones (None before it joins the cohort).

        Runs in the transaction that changes them, with the session locked. The rollup's row is the last lock taken,
        so that closes of one assessment wait for each other's commit and for nothing else.
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
        found = row.get_or_none()
        if found is None:
            cls.insert(assessment=assessment_id, totals={}).on_conflict_ignore().execute()
            found = row.clone().get()
        return found

    def set_totals(self, totals: Mapping[str, int]) -> None:
        CohortRollup.update(totals=dict(totals)).where(
            CohortRollup.assessment == self.assessment_id
        ).execute()


class CohortCount(peewee.Model):
    """One counter in a metric's tree: how many sessions of the cohort fall into a bucket of a level.

    Counters of 0 are deleted. There is no foreign key: it would be checked for each of the 24 rows that a close writes.
    """

    assessment_id = peewee.UUIDField()
    metric = peewee.SmallIntegerField()
    level = peewee.SmallIntegerField()
    bucket = peewee.BigIntegerField()
    n = peewee.BigIntegerField()

    class Meta:
        database = db
        table_name = "cohort_counts"
        legacy_table_names = False
        primary_key = peewee.CompositeKey("assessment_id", "metric", "level", "bucket")

    @classmethod
    def add(cls, assessment_id: Any, counts: Mapping[rollups.Place, int]) -> None:
        """Add to counters, with the rollup's row locked."""
        rows = [(assessment_id, *place, n) for place, n in counts.items()]
        key = [cls.assessment_id, cls.metric, cls.level, cls.bucket]
        for batch in peewee.chunked(rows, BATCH_SIZE):
            insert = cls.insert_many(batch, fields=[*key, cls.n])
            insert.on_conflict(conflict_target=key, update={cls.n: cls.n + peewee.EXCLUDED.n}).execute()
        decreased = [place for place, n in counts.items() if n < 0]
        if decreased:
            cls._delete_empty(assessment_id, decreased)

    @classmethod
    def _delete_empty(cls, assessment_id: Any, places: list[rollups.Place]) -> None:
        # Each by its full key: a condition on n alone would read all counters of the cohort.
        any_of = reduce(or_, map(cls._is_at, places))
        cls.delete().where(cls.assessment_id == assessment_id, any_of, cls.n == 0).execute()

    @classmethod
    def _is_at(cls, place: rollups.Place) -> peewee.Expression:
        metric, level, bucket = place
        return (cls.metric == metric) & (cls.level == level) & (cls.bucket == bucket)

    @classmethod
    def of(cls, assessment: Assessment) -> Counter[rollups.Place]:
        """All counters of a cohort."""
        rows: Any = cls.select(cls.metric, cls.level, cls.bucket, cls.n).where(
            cls.assessment_id == assessment.id
        )
        return Counter({(metric, level, bucket): n for metric, level, bucket, n in rows.tuples()})
