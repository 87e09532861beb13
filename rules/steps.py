"""An event reduced to what a reading of the session asks of it: its record, what it is about, what went wrong."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from rules import looking, summaries
from rules.envelopes import member, text
from rules.records import CHANGES, Record, record_of
from rules.texts import one_line

LONGEST_COMPLAINT = 300
# Where output says what went wrong, it is near its end; the very last line often only says that something did.
_LAST_LINES = 3
_LAST_CHARACTERS = 4000


class Step(NamedTuple):
    """One event of a session, in a few small values whatever content it came with."""

    record: Record
    kind: str
    subject: str | None
    complaint: str | None  # of a failed command: the last lines of its output
    only_looks: bool  # of a command

    @property
    def time(self) -> int:
        return self.record.time

    @property
    def id(self) -> str:
        return self.record.id


def step_of(time: int, envelope: Any) -> Step:
    """The step of an envelope exactly as it was sent."""
    record = record_of(time, envelope)
    data = member(envelope, "data")
    kind = text(member(envelope, "kind")) or ""
    return Step(
        record,
        kind,
        summaries.summary_of(envelope).subject,
        _complaint(data) if record.failed else None,
        kind == "command" and looking.only_looks(text(member(data, "command")) or ""),
    )


def without_doubles(steps: list[Step]) -> list[Step]:
    """Without what the editor extension reports again of changes and commands (metrics.md, "Terms")."""
    others = {_doubled(step) for step in steps if not step.record.from_editor}
    return [step for step in steps if not step.record.from_editor or _doubled(step) not in others - {None}]


def _doubled(step: Step) -> str | None:
    if step.kind in CHANGES:
        return "change"
    return "command" if step.kind == "command" else None


def in_order(steps: Iterable[Step]) -> list[Step]:
    """By time, ties by id, as the metrics have it."""
    return sorted(steps, key=lambda step: (step.time, step.id))


def _complaint(data: Any) -> str | None:
    for name in ("stderr", "stdout"):
        output = text(member(data, name)) or ""
        lines = [line for line in output[-_LAST_CHARACTERS:].splitlines() if line.strip()]
        if lines:
            return one_line(" / ".join(line.strip() for line in lines[-_LAST_LINES:]), LONGEST_COMPLAINT)
    return None
