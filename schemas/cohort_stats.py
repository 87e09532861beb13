"""Cohort statistics."""

from rules.statistics.cohorts import DIRECTIONS, SMALL_COHORT, SMALL_NOTE
from schemas.base import Schema, define_schema
from schemas.fields import Choice, Flag, Integer, ListOf, Nested, Number, String
from schemas.queries import Filter


class CohortQuery(Filter):
    """Session to compare."""

    session_id = String("Include this session's percentiles, values and ranks.")


class CohortMetrics(Schema):
    """Means, excluding sessions without a value; null if none has a value."""

    avg_duration_ms = Integer("First to last event, in ms.", example=4320000, null=True)
    avg_prompt_count = Number("Number of prompts.", example=38.5, null=True)
    avg_command_fail_rate = Number("Share of commands that failed.", example=0.142, null=True)
    avg_verify_intensity = Number("Verifications per change.", example=0.61, null=True)
    avg_manual_edit_ratio = Number(
        "Share of attributed changes made or revised by the candidate.", example=0.33, null=True
    )
    avg_first_change_latency_ms = Integer("First event to first change, in ms.", example=180000, null=True)
    test_pass_rate = Integer("Percentage of all sessions with `testsPassed` true.", example=75)


class Percentiles(Schema):
    """Share of other sessions with a lower value (for commandFailRate, a higher value), from 0.0 to 1.0. Null if this
    session, or every other one, has no value. See `summary` for the preferred direction."""

    duration_ms = Number("Rank of durationMs.", example=0.727, null=True)
    prompt_count = Number("Rank of promptCount.", example=0.455, null=True)
    command_fail_rate = Number("Rank of commandFailRate.", example=0.818, null=True)
    verify_intensity = Number("Rank of verifyIntensity.", example=0.636, null=True)
    manual_edit_ratio = Number("Rank of manualEditRatio.", example=0.727, null=True)
    first_change_latency_ms = Number("Rank of firstChangeLatencyMs.", example=0.364, null=True)


class MetricSummary(Schema):
    """Distribution of one metric. Quartiles are linearly interpolated, and rounded like the average."""

    n = Integer("Sessions with a value.", example=12)
    observations = Integer(
        "Observations across all sessions: events, prompts, commands with a known exit code, or changes.",
        example=311,
    )
    direction = Choice(DIRECTIONS, "Preferred direction of values.", example="higher_is_better")
    note = String(
        "Number of sessions left out because of their recording, if any, and the reason.",
        example="2 sessions left out: fewer than half of the commands' exit codes are known.",
        optional=True,
    )
    minimum = Number("Lowest value.", example=0.2, null=True)
    lower_quartile = Number("First quartile.", example=0.41, null=True)
    median = Number("Median.", example=0.583, null=True)
    upper_quartile = Number("Third quartile.", example=0.8, null=True)
    maximum = Number("Highest value.", example=1.6, null=True)
    value = Number("The session's value.", example=0.8, null=True, optional=True)
    value_observations = Integer("The session's observations.", example=25, optional=True)
    below = Integer("Other sessions with a lower value.", example=7, null=True, optional=True)
    equal = Integer("Other sessions with the same value.", example=1, null=True, optional=True)
    above = Integer("Other sessions with a higher value.", example=3, null=True, optional=True)
    rank = String(
        "Rank as text; null without other sessions.", example="higher than 7 of 11", null=True, optional=True
    )


class CohortSummary(Schema):
    """Distribution of each metric. With `sessionId`, includes the session's `value`, `valueObservations`, `below`,
    `equal`, `above` and `rank`."""

    duration_ms = Nested(MetricSummary, "First to last event, in ms.")
    prompt_count = Nested(MetricSummary, "Number of prompts.")
    command_fail_rate = Nested(MetricSummary, "Share of commands that failed.")
    verify_intensity = Nested(MetricSummary, "Verifications per change.")
    manual_edit_ratio = Nested(MetricSummary, "Share of attributed changes made or revised by the candidate.")
    first_change_latency_ms = Nested(MetricSummary, "First event to first change, in ms.")


class CohortStats(Schema):
    """Statistics for an assessment's sessions."""

    session_count = Integer("Completed, expired and hired sessions.", example=12)
    metrics = Nested(CohortMetrics, "Means.")
    derivation_versions = ListOf(Integer(), "Metric versions, if they differ.", example=[1, 2], optional=True)
    summary = Nested(CohortSummary, "Distribution of each metric.")
    open = Integer("Open sessions, excluded from the statistics.", example=2)
    empty = Integer("Sessions without events, counted with zeros.", example=0)
    small = Flag(f"True if the cohort has fewer than {SMALL_COHORT} sessions.", example=False)
    small_note = String("Explanation of `small`; null if false.", example=SMALL_NOTE, null=True)
    percentiles = Nested(Percentiles, "Only with `sessionId` and at least two sessions.", optional=True)


CohortStatistics = define_schema(
    "CohortStatistics",
    "Statistics.",
    cohort_stats=Nested(CohortStats, "Null without closed sessions.", null=True),
)
