"""What is kept of each cohort, so that its statistics cost the same for ten sessions and for a million (R19 to R22)."""

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

import peewee

from models.assessments import Assessment
from models.base import db, locked
from rules import rollups

Values = Mapping[str, Any]


class CohortRollup(peewee.Model):
    """The totals of an assessment's closed sessions (rules.rollups), and the lock under which they change.

    The totals are JSON, so that a sum is exact however large it gets: clients' clocks may be wrong by centuries.
    """

    assessment_id: Any
    assessment = peewee.ForeignKeyField(Assessment, primary_key=True)
    totals = peewee.JSONField()

    class Meta:
        database = db
        table_name = "cohort_rollups"
        legacy_table_names = False

    @classmethod
    def replace_session(cls, assessment_id: Any, old: Values | None, new: Values) -> None:
        """Count a session's `new` columns instead of its `old` ones (None where it was not part of the cohort yet),
        inside of the transaction that changes them, with the session's row held.

        The rollup's row is taken last of all rows that others wait for, so that closes of one assessment wait for
        each other's commits and for nothing else; events of open sessions never come here.
        """
        rollup = cls.held(assessment_id)
        totals = rollups.change(_of(rollups.totals, old), rollups.totals(new))
        counts = rollups.change(_of(rollups.counts, old), rollups.counts(new))
        if totals:
            rollup.keep(Counter(rollup.totals) + Counter(totals))
        if counts:
            CohortCount.add(assessment_id, counts)

    @classmethod
    def held(cls, assessment_id: Any) -> "CohortRollup":
        """The assessment's row, made if need be, and held until the transaction ends."""
        row = locked(cls.select().where(cls.assessment == assessment_id))
        found = row.get_or_none()
        if found is None:
            cls.insert(assessment=assessment_id, totals={}).on_conflict_ignore().execute()
            found = row.clone().get()
        return found

    def keep(self, totals: Mapping[str, int]) -> None:
        CohortRollup.update(totals=dict(totals)).where(
            CohortRollup.assessment == self.assessment_id
        ).execute()


def _of(count: Any, values: Values | None) -> Counter[Any]:
    return Counter() if values is None else count(values)


class CohortCount(peewee.Model):
    """One counter in the tree of a metric: how many sessions of the cohort fall into a bucket of a level.

    A counter that has come down to 0 is gone. There is no foreign key, since it would be checked for each of the 24
    rows that a close writes.
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
    def add(cls, assessment_id: Any, counts: Mapping[tuple[int, int, int], int]) -> None:
        """Add to counters by (metric, level, bucket), with the rollup's row held."""
        rows = [(assessment_id, *place, n) for place, n in counts.items()]
        key = [cls.assessment_id, cls.metric, cls.level, cls.bucket]
        insert = cls.insert_many(rows, fields=[*key, cls.n])
        insert.on_conflict(conflict_target=key, update={cls.n: cls.n + peewee.EXCLUDED.n}).execute()
        lessened = [place for place, n in counts.items() if n < 0]
        if lessened:
            cls._drop_empty(assessment_id, lessened)

    @classmethod
    def _drop_empty(cls, assessment_id: Any, places: list[tuple[int, int, int]]) -> None:
        # Each by its full key: a condition on n alone would walk over all counters of the cohort.
        any_of = reduce(or_, map(cls._at, places))
        cls.delete().where(cls.assessment_id == assessment_id, any_of, cls.n == 0).execute()

    @classmethod
    def _at(cls, place: tuple[int, int, int]) -> peewee.Expression:
        metric, level, bucket = place
        return (cls.metric == metric) & (cls.level == level) & (cls.bucket == bucket)
