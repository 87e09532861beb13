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
    "operation", "by throughput", "from - to", "target", "by processor time", "product CPU ms", "limit CPU ms",
    "product /s", "limit /s", "product ms", "limit ms", "errors of product, limit",
)  # fmt: skip


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
        contenders = [list(runs) for runs in zip(*self.rounds, strict=True)]
        ratios = [product.per_second / limit.per_second for product, limit in self.rounds]
        by_processor = median(limit.processor_ms / product.processor_ms for product, limit in self.rounds)
        return [
            self.operation.name,
            f"{median(ratios):.2f}",
            f"{min(ratios):.2f} - {max(ratios):.2f}",
            f">= {self.operation.target:.2f}",
            f"{by_processor:.2f}",
            *(f"{median(run.processor_ms for run in runs):.2f}" for runs in contenders),
            *(f"{median(run.per_second for run in runs):.0f}" for runs in contenders),
            *(f"{median(run.median_ms for run in runs):.1f}" for runs in contenders),
            ", ".join(map(str, self.errors)),
        ]


def table(results: Sequence[Result]) -> str:
    return markdown(HEAD, [result.cells() for result in results])


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for first, *numbers in (head, rule, *body):
        cells = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
        lines.append("| " + " | ".join([first.ljust(widths[0]), *cells]) + " |")
    return "\n".join(lines)


def comparison(results: Sequence[Result], conditions: str, memory: float) -> str:
    return f"""## Comparison with the limit

`make bench`. The product and a bare WSGI application (`limit/`) with hand-written SQL on the same tables, both under
gunicorn with the same settings, on one durable PostgreSQL. The product has its default settings, including
authentication, limits, audit, event feed, validation and log. Runs alternate; numbers are medians of the rounds.

- "By throughput" is the product's requests per second divided by the limit's; "from - to" is the range over the rounds.
- "By processor time" is the limit's processor time per request divided by the product's, both including the database.
  Other work on the machine affects it less.
- "Product ms" and "limit ms" are response times.

{table(results)}

- {conditions}. The product's web process needs {memory:.0f} MiB (RSS) at the end.
- PostgreSQL with fsync; Python {platform.python_version()}; {describe_machine()}; {date.today().isoformat()}.
- Load generator, services and database share the machine: compare the ratios, not the absolute numbers.
"""


def write(name: str, text: str, file: Path = RESULTS) -> None:
    """Replace a section of the file."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, remainder = file.read_text().partition(start)
    file.write_text(before + start + text + end + remainder.partition(end)[2])


def describe_machine() -> str:
    """Describe processor, cores, memory and system, without the host name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"
