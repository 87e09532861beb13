"""Statistics of a cohort."""

from schemas.base import Schema, shape
from schemas.fields import Integer, ListOf, Nested, Number, String
from schemas.queries import Filter


class CohortQuery(Filter):
    """Session to compare, if any."""

    session_id = String("Also return this session's percentile ranks.")


class CohortMetrics(Schema):
    """Means over the sessions that have a value; null if none has."""

    avg_duration_ms = Integer("First to last event, in ms.", example=4320000, null=True)
    avg_prompt_count = Number("Number of prompts.", example=38.5, null=True)
    avg_command_fail_rate = Number("Share of commands that failed.", example=0.142, null=True)
    avg_verify_intensity = Number("Verifications per change.", example=0.61, null=True)
    avg_manual_edit_ratio = Number("Share of changes made by hand.", example=0.33, null=True)
    avg_first_change_latency_ms = Integer("First event to first change.", example=180000, null=True)
    test_pass_rate = Integer("Percentage of all sessions whose tests passed.", example=75)


class Percentiles(Schema):
    """Share of the other sessions that this one beats, 0.0 to 1.0. Higher is better; a lower commandFailRate gives a
    higher percentile. Null if the session has no value, or no other session has one."""

    duration_ms = Number("Rank of durationMs.", example=0.727, null=True)
    prompt_count = Number("Rank of promptCount.", example=0.455, null=True)
    command_fail_rate = Number("Rank of commandFailRate.", example=0.818, null=True)
    verify_intensity = Number("Rank of verifyIntensity.", example=0.636, null=True)
    manual_edit_ratio = Number("Rank of manualEditRatio.", example=0.727, null=True)
    first_change_latency_ms = Number("Rank of firstChangeLatencyMs.", example=0.364, null=True)


class CohortStats(Schema):
    """Statistics of an assessment's sessions."""

    session_count = Integer("Sessions that completed or expired, including hired ones.", example=12)
    metrics = Nested(CohortMetrics, "Means.")
    derivation_versions = ListOf(Integer(), "Versions, only if they differ.", example=[1, 2], optional=True)
    percentiles = Nested(Percentiles, "Only with sessionId and two or more sessions.", optional=True)


CohortStatistics = shape(
    "CohortStatistics",
    "Statistics.",
    cohort_stats=Nested(CohortStats, "Null without closed sessions.", null=True),
)
