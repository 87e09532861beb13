"""A cohort as a table for the terminal: a line for each session, its metrics with their percentiles, the averages."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from models import Assessment, cohorts, sessions
from schemas.cohort_stats import CohortStats, Percentiles

NAME_WIDTH = 36
UNKNOWN = "-"


class Column(NamedTuple):
    """One metric: its head, its name in a session, its name among the averages, and how it is written."""

    head: str
    metric: str
    average: str
    write: Callable[[Any], str]


class Row(NamedTuple):
    """One session; `metrics` and `percentiles` as the API shows them."""

    name: str
    metrics: Mapping[str, Any]
    percentiles: Mapping[str, float | None]


def duration(milliseconds: int) -> str:
    """Hours and minutes, or below an hour minutes and seconds."""
    hours, rest = divmod(milliseconds // 1000, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes:02d} m" if hours else f"{minutes} m {seconds:02d} s"


COLUMNS = (
    Column("duration", "durationMs", "avgDurationMs", duration),
    Column("prompts", "promptCount", "avgPromptCount", str),
    Column("fail rate", "commandFailRate", "avgCommandFailRate", "{:.3f}".format),
    Column("verify", "verifyIntensity", "avgVerifyIntensity", "{:.3f}".format),
    Column("manual", "manualEditRatio", "avgManualEditRatio", "{:.3f}".format),
    Column("first change", "firstChangeLatencyMs", "avgFirstChangeLatencyMs", duration),
)


def of_assessment(assessment: Assessment) -> list[str]:
    """The table of an assessment that has at least one closed session, from the database."""
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
    """The table, with averages on its last line; `cohort` is the `cohortStats` of the API."""
    head = ["session"] + [text for column in COLUMNS for text in (column.head, "pct")] + ["tests"]
    return _aligned([head, *map(_cells, rows), _averages(cohort)])


def _cells(row: Row) -> list[str]:
    cells = [row.name if len(row.name) <= NAME_WIDTH else row.name[: NAME_WIDTH - 1] + "…"]
    for column in COLUMNS:
        cells += [_written(row.metrics[column.metric], column.write)]
        cells += [_written(row.percentiles.get(column.metric), "{:.3f}".format)]
    return [*cells, {True: "pass", False: "fail", None: UNKNOWN}[row.metrics["testsPassed"]]]


def _averages(cohort: Mapping[str, Any]) -> list[str]:
    metrics = cohort["metrics"]
    count = cohort["sessionCount"]
    cells = [f"{count} {'session' if count == 1 else 'sessions'}, average"]
    for column in COLUMNS:
        cells += [_written(metrics[column.average], column.write), ""]
    return [*cells, f"{metrics['testPassRate']} %"]


def _written(value: Any, write: Callable[[Any], str]) -> str:
    return UNKNOWN if value is None else write(value)


def _aligned(table: list[list[str]]) -> list[str]:
    """Columns as wide as their widest cell: the first to the left, numbers to the right."""
    first, *others = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            [name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, others, strict=True))]
        )
        for name, *cells in table
    ]
