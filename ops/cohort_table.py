"""A cohort as a text table: a line for each session with its metrics and percentiles, then the averages."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from models import Assessment, cohorts, sessions
from schemas.cohort_stats import CohortStats, Percentiles

MAX_NAME_CHARACTERS = 36
UNKNOWN = "-"


class Column(NamedTuple):
    """One metric: its title, its names in the API for a session and for the average, and its format."""

    title: str
    metric: str
    average: str
    format: Callable[[Any], str]


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
COLUMNS = (
    Column("duration", "durationMs", "avgDurationMs", duration),
    Column("prompts", "promptCount", "avgPromptCount", str),
    Column("fail rate", "commandFailRate", "avgCommandFailRate", number),
    Column("verify", "verifyIntensity", "avgVerifyIntensity", number),
    Column("manual", "manualEditRatio", "avgManualEditRatio", number),
    Column("first change", "firstChangeLatencyMs", "avgFirstChangeLatencyMs", duration),
)


def of_assessment(assessment: Assessment) -> list[str]:
    """Build the table of an assessment with at least one closed session."""
    sessions.settle_all(assessment_id=assessment.id)
    rows = [
        Row(
            session.key.candidate_name or str(session.id),
            sessions.shown_metrics(session) or {},
            Percentiles().dump(cohorts.percentiles([session.id])[session.id]),
        )
        for session in cohorts.members(assessment)
    ]
    return lines(rows, CohortStats().dump(cohorts.statistics(assessment)))


def lines(rows: Iterable[Row], cohort: Mapping[str, Any]) -> list[str]:
    """Build the table; `cohort` is `cohortStats` as in the API."""
    titles = ["session"] + [text for column in COLUMNS for text in (column.title, "pct")] + ["tests"]
    first, *others = zip(titles, *map(_cells, rows), _averages(cohort), strict=True)
    columns = [_padded(first, str.ljust), *(_padded(column, str.rjust) for column in others)]
    return ["  ".join(line) for line in zip(*columns, strict=True)]


def _cells(row: Row) -> list[str]:
    name = row.name
    cells = [name if len(name) <= MAX_NAME_CHARACTERS else name[: MAX_NAME_CHARACTERS - 1] + "…"]
    for column in COLUMNS:
        cells.append(_text(row.metrics[column.metric], column.format))
        cells.append(_text(row.percentiles.get(column.metric), number))
    return [*cells, {True: "pass", False: "fail", None: UNKNOWN}[row.metrics["testsPassed"]]]


def _averages(cohort: Mapping[str, Any]) -> list[str]:
    metrics, count = cohort["metrics"], cohort["sessionCount"]
    cells = [f"{count} {'session' if count == 1 else 'sessions'}, average"]
    for column in COLUMNS:
        cells += [_text(metrics[column.average], column.format), ""]
    return [*cells, f"{metrics['testPassRate']} %"]


def _text(value: Any, format: Callable[[Any], str]) -> str:
    return UNKNOWN if value is None else format(value)


def _padded(cells: Sequence[str], align: Callable[[str, int], str]) -> list[str]:
    width = max(map(len, cells))
    return [align(cell, width) for cell in cells]
