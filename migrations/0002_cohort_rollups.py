"""Create cohort rollups (models/rollups.py), computed from the closed sessions."""

from collections import defaultdict

from peewee import (
    BigIntegerField,
    CompositeKey,
    ForeignKeyField,
    JSONField,
    Model,
    SmallIntegerField,
    UUIDField,
)

# Metrics in the order of their numbers; the sign makes a higher value the better one.
METRICS = (
    ("duration_ms", ""),
    ("prompt_count", ""),
    ("command_fail_rate", "-"),
    ("verify_intensity", ""),
    ("manual_edit_ratio", ""),
    ("first_change_latency_ms", ""),
)
SHIFTS = (24, 16, 8, 0)
CLOSED = "derivation_version IS NOT NULL"


def up(migrator, db):
    class Assessment(Model):
        id = UUIDField(primary_key=True)

        class Meta:
            database = db
            table_name = "assessments"

    class CohortRollup(Model):
        assessment = ForeignKeyField(Assessment, primary_key=True)
        totals = JSONField()

        class Meta:
            database = db
            table_name = "cohort_rollups"

    class CohortCount(Model):
        assessment_id = UUIDField()
        metric = SmallIntegerField()
        level = SmallIntegerField()
        bucket = BigIntegerField()
        n = BigIntegerField()

        class Meta:
            database = db
            table_name = "cohort_counts"
            primary_key = CompositeKey("assessment_id", "metric", "level", "bucket")

    db.create_tables([CohortRollup, CohortCount])
    for assessment_id, totals in count_sessions(db).items():
        CohortRollup.create(assessment=assessment_id, totals=totals)
    for index, (column, sign) in enumerate(METRICS):
        for number, shift in enumerate(SHIFTS):
            db.execute_sql(
                f"""INSERT INTO cohort_counts (assessment_id, metric, level, bucket, n)
                SELECT assessment_id, {index}, {number}, {sign}{column} >> {shift}, COUNT(*) FROM sessions
                WHERE {CLOSED} AND {column} IS NOT NULL GROUP BY 1, 2, 3, 4"""
            )


def count_sessions(db):
    """Compute the totals of each assessment's closed sessions; sums in two halves cannot overflow on SQLite."""
    totals_by_assessment = defaultdict(dict)
    sums = ", ".join(
        f"COUNT({column}), SUM({column} >> 32), SUM({column} & 4294967295)" for column, _ in METRICS
    )
    passed = "SUM(CASE WHEN tests_passed THEN 1 ELSE 0 END)"
    query = f"SELECT assessment_id, COUNT(*), {passed}, {sums} FROM sessions WHERE {CLOSED} GROUP BY assessment_id"
    for assessment_id, sessions, passed, *numbers in db.execute_sql(query):
        totals = {"sessions": sessions, "passed": passed}
        for index, (column, _) in enumerate(METRICS):
            count, high, low = numbers[3 * index : 3 * index + 3]
            totals |= {f"{column}_count": count, f"{column}_sum": int(high or 0) * 2**32 + int(low or 0)}
        totals_by_assessment[assessment_id] = totals
    query = f"SELECT assessment_id, derivation_version, COUNT(*) FROM sessions WHERE {CLOSED} GROUP BY 1, 2"
    for assessment_id, version, sessions in db.execute_sql(query):
        totals_by_assessment[assessment_id][f"version_{version}"] = sessions
    return {
        assessment_id: {name: int(n) for name, n in totals.items() if n}
        for assessment_id, totals in totals_by_assessment.items()
    }
