"""Format results as Markdown tables, and write them to their sections of RESULTS.md."""

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
    *(
        "operation",
        "by throughput",
        "from - to",
        "target",
        "by processor time",
        "product CPU ms",
        "limit CPU ms",
    ),
    *("product /s", "limit /s", "product ms", "limit ms", "errors of product, limit"),
)


class Run(NamedTuple):
    """The outcome of a load, and the processor time of service and database per response."""

    per_second: float
    median_ms: float
    errors: int
    processor_ms: float


class Round(NamedTuple):
    product: Run
    limit: Run


class Result(NamedTuple):
    """One operation's rounds."""

    operation: Operation
    rounds: list[Round]

    @property
    def errors(self) -> list[int]:
        """Failed requests of the product and of the limit."""
        return [sum(run.errors for run in runs) for runs in zip(*self.rounds, strict=True)]

    def cells(self) -> list[str]:
        product, limit = (list(runs) for runs in zip(*self.rounds, strict=True))
        ratios = [one.per_second / other.per_second for one, other in self.rounds]
        by_processor = [other.processor_ms / one.processor_ms for one, other in self.rounds]
        return [
            self.operation.name,
            f"{median(ratios):.2f}",
            f"{min(ratios):.2f} - {max(ratios):.2f}",
            f">= {self.operation.target:.2f}",
            f"{median(by_processor):.2f}",
            *(f"{median(run.processor_ms for run in runs):.2f}" for runs in (product, limit)),
            *(f"{median(run.per_second for run in runs):.0f}" for runs in (product, limit)),
            *(f"{median(run.median_ms for run in runs):.1f}" for runs in (product, limit)),
            ", ".join(map(str, self.errors)),
        ]


def table(results: Sequence[Result]) -> str:
    return markdown(HEAD, [result.cells() for result in results])


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rule = "| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |"
    return "\n".join([_line(head, widths), rule, *(_line(row, widths) for row in body)])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "| " + " | ".join([row[0].ljust(widths[0]), *numbers]) + " |"


def comparison(results: Sequence[Result], conditions: str, memory: float) -> str:
    return f"""## Comparison with the limit

`make bench`. The product and a bare WSGI application (`limit/`) with hand-written SQL on the same tables, both under
gunicorn with the same settings, on one durable PostgreSQL. The product has its default settings, with authentication,
limits, audit, event feed, validation and log. The two take turns; numbers are medians of the rounds.

- "By throughput" is product / limit, of requests per second; "from - to" is its smallest and largest value in a round.
- "By processor time" is limit / product, of the service's and the database's processor time per request. Other work on
  the machine changes it less.
- "Product ms" and "limit ms" are response times.

{table(results)}

- {conditions}. The product's web process then needs {memory:.0f} MiB (RSS).
- PostgreSQL with fsync; Python {platform.python_version()}; {machine()}; {date.today().isoformat()}.
- Load, services and database share the machine, so the absolute numbers mean little elsewhere; compare the ratios.
"""


def write(name: str, text: str, file: Path = RESULTS) -> None:
    """Write a section of the file, replacing its earlier version."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    document = file.read_text() if file.exists() else "# Benchmark results\n"
    if begin not in document:
        document += f"\n{begin}{end}"
    before, _, rest = document.partition(begin)
    file.write_text(before + begin + text + end + rest.partition(end)[2])


def machine() -> str:
    """Processor, cores, memory and system, without the machine's name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"
