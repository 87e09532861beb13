"""What is kept beside the rows counted anew by the database, cohorts and numbers of keys: to put it right, and to see
that it is."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import peewee

from models.assessments import Assessment, CandidateKey, KeyCount
from models.base import Query, db, snapshot
from models.rollups import CohortCount, CohortRollup
from models.sessions import Session
from rules.cohorts import METRICS
from rules.rollups import LEVELS

HALF_BITS = 32


def rebuild(assessment: Assessment) -> None:
    """Count the cohort anew; until the end of it the assessment's closes wait, and its statistics are as before."""
    with db.atomic():
        CohortRollup.held(assessment.id).keep(_totals(assessment))
        CohortCount.delete().where(CohortCount.assessment_id == assessment.id).execute()
        for place in _places():
            CohortCount.insert_from(_counted(assessment, *place), CohortCount._meta.sorted_fields).execute()
        # Whatever comes and goes meanwhile changes both sides of the difference alike.
        KeyCount.change_by(-_keys_too_many(assessment), assessment.organization_id, assessment.id)


def first_difference(assessment: Assessment) -> str | None:
    """The first number of the rollup that is not what its sessions give, in words; None where all are equal."""
    with snapshot():
        return next(_differences(assessment), None)


def _differences(assessment: Assessment) -> Iterator[str]:
    if surplus := _keys_too_many(assessment):
        yield f"the number of keys has {surplus} too many"
    rollup = CohortRollup.get_or_none(CohortRollup.assessment == assessment)
    kept, counted = rollup.totals if rollup else {}, _totals(assessment)
    for name in sorted(kept.keys() | counted.keys()):
        if kept.get(name) != counted.get(name):
            yield f"{name} is {kept.get(name, 0)} and should be {counted.get(name, 0)}"
    for metric, level in _places():
        for bucket, n in _wrong_counts(assessment, metric, level):
            yield f"{METRICS[metric].field}, level {level}, bucket {bucket} has {n} too many"


def _wrong_counts(assessment: Assessment, metric: int, level: int) -> Any:
    """(bucket, how many too many) of the counters that are not right, one at most."""
    kept = CohortCount.select(CohortCount.bucket, CohortCount.n).where(
        CohortCount.assessment_id == assessment.id, CohortCount.metric == metric, CohortCount.level == level
    )
    counted = _counted(assessment, metric, level).alias("counted")
    both = kept.union_all(peewee.Select([counted], [counted.c.bucket, 0 - counted.c.n])).alias("both")
    surplus = peewee.fn.SUM(both.c.n)
    query = peewee.Select([both], [both.c.bucket, surplus]).group_by(both.c.bucket).having(surplus != 0)
    return query.order_by(both.c.bucket).limit(1).tuples().execute(db)


def _keys_too_many(assessment: Assessment) -> int:
    """By how much the kept number of keys is above what there is; both counted by one statement, at one moment."""
    kept = KeyCount.select(peewee.fn.COALESCE(peewee.fn.SUM(KeyCount.change), 0))
    kept = kept.where(KeyCount.assessment == assessment)
    there = CandidateKey.select(peewee.fn.COUNT(CandidateKey.id))
    there = there.where(CandidateKey.assessment == assessment, CandidateKey.revoked_at.is_null())
    ((surplus,),) = peewee.Select(columns=[peewee.Expression(kept, "-", there)]).tuples().execute(db)
    return int(surplus)


def _places() -> Iterator[tuple[int, int]]:
    for metric in range(len(METRICS)):
        for level in range(len(LEVELS)):
            yield metric, level


def _counted(assessment: Assessment, metric: int, level: int) -> Query:
    """The rows of CohortCount on one level of a metric's tree."""
    value = getattr(Session, METRICS[metric].field)
    merit = peewee.Expression(-1 if METRICS[metric].lower_is_better else 1, "*", value)
    bucket = peewee.Expression(merit, ">>", LEVELS[level].shift)
    columns = [Session.assessment, peewee.Value(metric), peewee.Value(level), bucket.alias("bucket")]
    query = Session.select(*columns, peewee.fn.COUNT(Session.id).alias("n"))
    return query.where(_is_member(assessment), value.is_null(False)).group_by(Session.assessment, bucket)


def _totals(assessment: Assessment) -> Counter[str]:
    """As rules.rollups.totals, of all sessions together."""
    passed = peewee.fn.COUNT(peewee.Case(None, ((Session.tests_passed, 1),)))
    columns = [
        Session.derivation_version,
        peewee.fn.COUNT(Session.id).alias("sessions"),
        passed.alias("passed"),
    ]
    columns += [column for metric in METRICS for column in _count_and_halves(metric.field)]
    query = Session.select(*columns).where(_is_member(assessment)).group_by(Session.derivation_version)
    rows: Any = query.dicts()
    return sum(map(_totals_of_version, rows), Counter())


def _count_and_halves(field: str) -> list[Any]:
    """A sum in two halves, neither of which can get too large for a column: SQLite adds up no further."""
    value = getattr(Session, field)
    return [
        peewee.fn.COUNT(value).alias(f"{field}_count"),
        peewee.fn.SUM(peewee.Expression(value, ">>", HALF_BITS)).alias(f"{field}_high"),
        peewee.fn.SUM(value.bin_and(2**HALF_BITS - 1)).alias(f"{field}_low"),
    ]


def _totals_of_version(row: dict[str, Any]) -> Counter[str]:
    found = {"sessions": row["sessions"], "passed": row["passed"]}
    found[f"version_{row['derivation_version']}"] = row["sessions"]
    for metric in METRICS:
        high, low = (int(row[f"{metric.field}_{half}"] or 0) for half in ("high", "low"))
        found[f"{metric.field}_count"] = row[f"{metric.field}_count"]
        found[f"{metric.field}_sum"] = (high << HALF_BITS) + low
    return +Counter(found)


def _is_member(assessment: Assessment) -> peewee.Expression:
    """As Session._derive sees it: a session joins its cohort when its metrics are first derived, at the close."""
    return (Session.assessment == assessment) & Session.derivation_version.is_null(False)
