"""Format a cohort as a text table: metrics and percentiles of each session, then averages."""

from collections.abc import Callable, Mapping
from typing import Any

from models import Assessment, cohorts, sessions
from rules.plain_text import pluralize, truncate
from schemas.cohort_stats import CohortStats, Percentiles

MAX_NAME_CHARACTERS = 36
UNKNOWN = "-"


def format_duration(milliseconds: int) -> str:
    """Format as hours and minutes, or as minutes and seconds if less than an hour."""
    hours, remainder = divmod(milliseconds // 1000, 3600)
    minutes, seconds = divmod(remainder, 60)
    return f"{hours} h {minutes:02d} m" if hours else f"{minutes} m {seconds:02d} s"


format_number = "{:.3f}".format
# Title, API name and format of each metric.
COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("duration", "durationMs", format_duration),
    ("prompts", "promptCount", str),
    ("fail rate", "commandFailRate", format_number),
    ("verify", "verifyIntensity", format_number),
    ("manual", "manualEditRatio", format_number),
    ("first change", "firstChangeLatencyMs", format_duration),
)


def build_table(assessment: Assessment) -> list[str]:
    """Build the table for an assessment with at least one closed session."""
    sessions.close_all_due(assessment_id=assessment.id)
    cohort = list(cohorts.select_sessions(assessment))
    percentiles = cohorts.percentiles(cohort)
    table = [["session", *(heading for title, _, _ in COLUMNS for heading in (title, "pct")), "tests"]]
    for session in cohort:
        metrics, ranks = sessions.api_metrics(session) or {}, Percentiles().dump(percentiles[session.id])
        cells = [truncate(session.key.candidate_name or str(session.id), MAX_NAME_CHARACTERS)]
        for _, metric, format in COLUMNS:
            cells += [_cell(metrics[metric], format), _cell(ranks.get(metric), format_number)]
        tests = {True: "pass", False: "fail", None: UNKNOWN}[metrics["testsPassed"]]
        table.append([*cells, f"{tests} ({source})" if (source := metrics["testsPassedSource"]) else tests])
    table.append(_averages(CohortStats().dump(cohorts.statistics(assessment.id))))
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    return ["  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]) for name, *cells in table]


def _averages(cohort: Mapping[str, Any]) -> list[str]:
    averages = cohort["metrics"]
    cells = [f"{pluralize(cohort['sessionCount'], 'session')}, average"]
    for _, metric, format in COLUMNS:
        cells += [_cell(averages[f"avg{metric[0].upper()}{metric[1:]}"], format), ""]
    return [*cells, f"{averages['testPassRate']} %"]


def _cell(value: Any, format: Callable[[Any], str]) -> str:
    return UNKNOWN if value is None else format(value)
