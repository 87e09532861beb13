"""A cohort as a text table: a line for each session with its metrics and percentiles, then the averages."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from models import Assessment, cohorts, sessions
from rules.plain_text import pluralize, truncate
from schemas.cohort_stats import CohortStats, Percentiles

MAX_NAME_CHARACTERS = 36
UNKNOWN = "-"


class Row(NamedTuple):
    """One session, with `metrics` and `percentiles` as in the API."""

    name: str
    metrics: Mapping[str, Any]
    percentiles: Mapping[str, float | None]


def duration(milliseconds: int) -> str:
    """Format as hours and minutes, or as minutes and seconds below an hour."""
    hours, rest = divmod(milliseconds // 1000, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes:02d} m" if hours else f"{minutes} m {seconds:02d} s"


number = "{:.3f}".format
# Title, name in the API and format of each metric.
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
    rows = [
        Row(
            session.key.candidate_name or str(session.id),
            sessions.api_metrics(session) or {},
            Percentiles().dump(percentiles[session.id]),
        )
        for session in members
    ]
    return lines(rows, CohortStats().dump(cohorts.statistics(assessment.id)))


def lines(rows: Iterable[Row], cohort: Mapping[str, Any]) -> list[str]:
    """Build the table; `cohort` is `cohortStats` as in the API."""
    titles = ["session", *(text for title, _, _ in COLUMNS for text in (title, "pct")), "tests"]
    table = [titles, *map(_cells, rows), _averages(cohort)]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    return ["  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]) for name, *cells in table]


def _cells(row: Row) -> list[str]:
    cells = [truncate(row.name, MAX_NAME_CHARACTERS)]
    for _, metric, format in COLUMNS:
        cells += [_text(row.metrics[metric], format), _text(row.percentiles.get(metric), number)]
    return [*cells, {True: "pass", False: "fail", None: UNKNOWN}[row.metrics["testsPassed"]]]


def _averages(cohort: Mapping[str, Any]) -> list[str]:
    averages = cohort["metrics"]
    cells = [f"{pluralize(cohort['sessionCount'], 'session')}, average"]
    for _, metric, format in COLUMNS:
        cells += [_text(averages[f"avg{metric[0].upper()}{metric[1:]}"], format), ""]
    return [*cells, f"{averages['testPassRate']} %"]


def _text(value: Any, format: Callable[[Any], str]) -> str:
    return UNKNOWN if value is None else format(value)
