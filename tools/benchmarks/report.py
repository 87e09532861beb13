"""Report results as tables, with the machine they were measured on. RESULTS.md has a part for each benchmark."""

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tools.benchmarks.operations import Operation

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = (
    "operation",
    "by CPU time",
    "min - max",
    "target",
    "by throughput",
    "service CPU ms",
    "bare CPU ms",
    "service /s",
    "bare /s",
    "service ms",
    "bare ms",
    "on SQLite /s",
    "SQLite / PostgreSQL",
    "errors: service, bare, SQLite",
)


class Turn(NamedTuple):
    """The result of one measurement, and the CPU time per response of service and database."""

    per_second: float
    median_ms: float
    errors: int
    processor_ms: float


class Round(NamedTuple):
    product: Turn
    limit: Turn
    on_sqlite: Turn


class Result(NamedTuple):
    """All rounds of one operation."""

    operation: Operation
    rounds: list[Round]

    @property
    def ratios(self) -> list[float]:
        """The bare application's CPU time / the service's, by round. Compared with the target."""
        return [_share(each.limit.processor_ms, each.product.processor_ms) for each in self.rounds]

    @property
    def errors(self) -> list[int]:
        """Number of errors of the service, the bare application, and the service on SQLite."""
        return [sum(turn.errors for turn in turns) for turns in zip(*self.rounds, strict=True)]

    def cells(self) -> list[str]:
        product, limit, on_sqlite = (list(turns) for turns in zip(*self.rounds, strict=True))
        by_throughput = [_share(each.product.per_second, each.limit.per_second) for each in self.rounds]
        on_other = [_share(each.on_sqlite.per_second, each.product.per_second) for each in self.rounds]
        return [
            self.operation.name,
            f"{median(self.ratios):.2f}",
            f"{min(self.ratios):.2f} - {max(self.ratios):.2f}",
            f">= {self.operation.target:.2f}",
            f"{median(by_throughput):.2f}",
            *(f"{median(turn.processor_ms for turn in turns):.2f}" for turns in (product, limit)),
            *(f"{median(turn.per_second for turn in turns):.0f}" for turns in (product, limit)),
            *(f"{median(turn.median_ms for turn in turns):.1f}" for turns in (product, limit)),
            f"{median(turn.per_second for turn in on_sqlite):.0f}",
            f"{median(on_other):.2f}",
            ", ".join(map(str, self.errors)),
        ]


def _share(one: float, other: float) -> float:
    return one / other if other else float("nan")


def table(results: Sequence[Result]) -> str:
    return markdown(HEAD, [result.cells() for result in results])


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """An aligned Markdown table."""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rule = "| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |"
    return "\n".join([_line(head, widths), rule, *(_line(row, widths) for row in body)])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "| " + " | ".join([row[0].ljust(widths[0]), *numbers]) + " |"


def comparison(results: Sequence[Result], conditions: str, server: str) -> str:
    return f"""## Comparison with a bare application

`make bench` compares the service with a bare WSGI application (`limit/`) with hand-written SQL on the same tables. Both
run under gunicorn with the same settings, on one durable PostgreSQL. The service has its default settings:
authentication, rate limits, audit log, event feed, validation and logging are on. The two take turns; numbers are
medians of all rounds.

- "By CPU time" is bare / service, of the CPU time per request of application and database. The target applies to this
  ratio, because other work on the machine hardly affects it. "Min - max" is its range over the rounds.
- "By throughput" is service / bare, of requests per second.
- "Service ms" and "bare ms" are response times.

{table(results)}

- {conditions}
- {server}; SQLite in WAL mode, synchronous=full; Python {platform.python_version()}.
- {machine()}; {date.today().isoformat()}.
- Load generator, services and database share the machine, so absolute numbers do not transfer to other machines.
  Compare the ratios.
"""


def write(name: str, text: str, file: Path = RESULTS) -> None:
    """Write the part `name` into the file; it replaces an earlier version."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    document = file.read_text() if file.exists() else "# Benchmark results\n"
    if begin not in document:
        document += f"\n{begin}{end}"
    before, _, rest = document.partition(begin)
    file.write_text(before + begin + text + end + rest.partition(end)[2])


def machine() -> str:
    """Processor, cores, memory and system, without the machine's name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
