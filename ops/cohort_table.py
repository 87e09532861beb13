"""A cohort as a text table: each session's metrics and percentiles, then the averages."""

from collections.abc import Callable, Mapping
from typing import Any

from models import Assessment, cohorts, sessions
from rules.plain_text import pluralize, truncate
from schemas.cohort_stats import CohortStats, Percentiles

MAX_NAME_CHARACTERS = 36
UNKNOWN = "-"


def duration(milliseconds: int) -> str:
    """Format as hours and minutes, or as minutes and seconds below an hour."""
    hours, rest = divmod(milliseconds // 1000, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes:02d} m" if hours else f"{minutes} m {seconds:02d} s"


number = "{:.3f}".format
# Each metric's title, name in the API and format.
COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("duration", "durationMs", duration),
    ("prompts", "promptCount", str),
    ("fail rate", "commandFailRate", number),
    ("verify", "verifyIntensity", number),
    ("manual", "manualEditRatio", number),
    ("first change", "firstChangeLatencyMs", duration),
)


def of_assessment(assessment: Assessment) -> list[str]:
    """Build the table of an assessment with at least one closed session."""
    sessions.close_all_due(assessment_id=assessment.id)
    members = list(cohorts.members(assessment))
    percentiles = cohorts.percentiles(members)
    table = [["session", *(text for title, _, _ in COLUMNS for text in (title, "pct")), "tests"]]
    for session in members:
        metrics, ranks = sessions.api_metrics(session) or {}, Percentiles().dump(percentiles[session.id])
        cells = [truncate(session.key.candidate_name or str(session.id), MAX_NAME_CHARACTERS)]
        for _, metric, format in COLUMNS:
            cells += [_text(metrics[metric], format), _text(ranks.get(metric), number)]
        table.append([*cells, {True: "pass", False: "fail", None: UNKNOWN}[metrics["testsPassed"]]])
    table.append(_averages(CohortStats().dump(cohorts.statistics(assessment.id))))
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    return ["  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]) for name, *cells in table]


def _averages(cohort: Mapping[str, Any]) -> list[str]:
    averages = cohort["metrics"]
    cells = [f"{pluralize(cohort['sessionCount'], 'session')}, average"]
    for _, metric, format in COLUMNS:
        cells += [_text(averages[f"avg{metric[0].upper()}{metric[1:]}"], format), ""]
    return [*cells, f"{averages['testPassRate']} %"]


def _text(value: Any, format: Callable[[Any], str]) -> str:
    return UNKNOWN if value is None else format(value)
