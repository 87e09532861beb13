"""A cohort's statistics."""

from marshmallow import fields

from schemas import EXAMPLE_ID, Filter, Schema, described


class CohortQuery(Filter):
    """Which session to compare, if any."""

    session_id = fields.String(metadata=described("Also answer this session's percentile ranks.", EXAMPLE_ID))


class CohortMetrics(Schema):
    """Arithmetic means over the sessions that have a value; null where none has."""

    avg_duration_ms = fields.Integer(
        allow_none=True, metadata=described("First to last event, in ms.", 4320000)
    )
    avg_prompt_count = fields.Float(allow_none=True, metadata=described("Prompts.", 38.5))
    avg_command_fail_rate = fields.Float(
        allow_none=True, metadata=described("Failed commands among those with a known exit code.", 0.142)
    )
    avg_verify_intensity = fields.Float(
        allow_none=True, metadata=described("Verifications for each change.", 0.61)
    )
    avg_manual_edit_ratio = fields.Float(allow_none=True, metadata=described("Changes made by hand.", 0.33))
    avg_first_change_latency_ms = fields.Integer(
        allow_none=True, metadata=described("First event to first change, in ms.", 180000)
    )
    test_pass_rate = fields.Integer(
        metadata=described("Percentage of all sessions whose tests were seen to pass.", 75)
    )


class Percentiles(Schema):
    """The share of the other sessions that this one beats, 0.0 to 1.0. Higher is better; for commandFailRate a lower
    rate gives a higher percentile. Null where the session has no value, or no other one has."""

    duration_ms = fields.Float(allow_none=True, metadata=described("Rank of durationMs.", 0.727))
    prompt_count = fields.Float(allow_none=True, metadata=described("Rank of promptCount.", 0.455))
    command_fail_rate = fields.Float(allow_none=True, metadata=described("Rank of commandFailRate.", 0.818))
    verify_intensity = fields.Float(allow_none=True, metadata=described("Rank of verifyIntensity.", 0.636))
    manual_edit_ratio = fields.Float(allow_none=True, metadata=described("Rank of manualEditRatio.", 0.727))
    first_change_latency_ms = fields.Float(
        allow_none=True, metadata=described("Rank of firstChangeLatencyMs.", 0.364)
    )


class CohortStats(Schema):
    """How the sessions of an assessment did."""

    session_count = fields.Integer(
        metadata=described("Sessions that completed or expired, hired ones included.", 12)
    )
    metrics = fields.Nested(CohortMetrics, metadata=described("Averages."))
    derivation_versions = fields.List(
        fields.Integer(),
        metadata=described(
            "Only where the sessions' metrics were derived by more than one version of the definition: which. "
            "`flask sessions rederive` makes them one.",
            [1, 2],
            sometimes=True,
        ),
    )
    percentiles = fields.Nested(
        Percentiles,
        metadata=described(
            "Only with sessionId, and with at least two sessions in the cohort.", sometimes=True
        ),
    )


class CohortStatistics(Schema):
    """Statistics, or null while no session has been completed."""

    cohort_stats = fields.Nested(CohortStats, allow_none=True, metadata=described("The statistics."))
