"""Events reduced to the values that an analysis reads."""

from dataclasses import dataclass
from typing import Any

from rules.envelopes import member, text
from rules.metric_events import MetricEvent, metric_values
from rules.plain_text import event_line
from rules.read_only_commands import is_read_only
from rules.summaries import summarize

MAX_FAILURE_OUTPUT_CHARACTERS = 300
# Output names the cause near its end; the very last line often only says that something failed.
_LAST_LINES = 3
_LAST_CHARACTERS = 4000


@dataclass(slots=True)
class AnalyzedEvent(MetricEvent):
    """One event; members that its kind does not have are None."""

    subject: str | None = None
    failure_output: str | None = None  # of a failed command: the last lines of its output
    is_read_only: bool = False  # of a command


def analyze_event(time_ns: int, envelope: Any) -> AnalyzedEvent:
    """The event of an envelope as it was sent; never raises."""
    event = AnalyzedEvent(**metric_values(time_ns, envelope), subject=summarize(envelope).subject)
    data = member(envelope, "data")
    if event.failed:
        event.failure_output = _failure_output(data)
    if event.kind == "command":
        event.is_read_only = is_read_only(text(member(data, "command")) or "")
    return event


def _failure_output(data: Any) -> str | None:
    for name in ("stderr", "stdout"):
        output = text(member(data, name)) or ""
        lines = [line.strip() for line in output[-_LAST_CHARACTERS:].splitlines() if line.strip()]
        if lines:
            return event_line(" / ".join(lines[-_LAST_LINES:]), MAX_FAILURE_OUTPUT_CHARACTERS)
    return None
