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
    "operation",
    "by processor time",
    "from - to",
    "target",
    "by throughput",
    "product CPU ms",
    "limit CPU ms",
    "product /s",
    "limit /s",
    "product ms",
    "limit ms",
    "on SQLite /s",
    "SQLite / PostgreSQL",
    "errors of product, limit, SQLite",
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
    on_sqlite: Run


class Result(NamedTuple):
    """One operation's rounds."""

    operation: Operation
    rounds: list[Round]

    @property
    def ratios(self) -> list[float]:
        """The limit's processor time divided by the product's, by round. Compared with the target."""
        return [_ratio(limit.processor_ms, product.processor_ms) for product, limit, _ in self.rounds]

    @property
    def errors(self) -> list[int]:
        """Failed requests of the product, of the limit and of the product on SQLite."""
        return [sum(run.errors for run in runs) for runs in zip(*self.rounds, strict=True)]

    def cells(self) -> list[str]:
        product, limit, on_sqlite = (list(runs) for runs in zip(*self.rounds, strict=True))
        by_throughput = [_ratio(product.per_second, limit.per_second) for product, limit, _ in self.rounds]
        by_database = [_ratio(sqlite.per_second, product.per_second) for product, _, sqlite in self.rounds]
        return [
            self.operation.name,
            f"{median(self.ratios):.2f}",
            f"{min(self.ratios):.2f} - {max(self.ratios):.2f}",
            f">= {self.operation.target:.2f}",
            f"{median(by_throughput):.2f}",
            *(f"{median(run.processor_ms for run in runs):.2f}" for runs in (product, limit)),
            *(f"{median(run.per_second for run in runs):.0f}" for runs in (product, limit)),
            *(f"{median(run.median_ms for run in runs):.1f}" for runs in (product, limit)),
            f"{median(run.per_second for run in on_sqlite):.0f}",
            f"{median(by_database):.2f}",
            ", ".join(map(str, self.errors)),
        ]


def _ratio(dividend: float, divisor: float) -> float:
    return dividend / divisor if divisor else float("nan")


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


def comparison(results: Sequence[Result], conditions: str, server: str) -> str:
    return f"""## Comparison with the limit

`make bench`. The product and a bare WSGI application (`limit/`) with hand-written SQL on the same tables,
both under gunicorn with the same settings, on one durable PostgreSQL. The product has its default settings, with
authentication, limits, audit, event feed, validation and log. The two take turns; numbers are medians of the rounds.

- "By processor time" is limit / product, of the service's and the database's processor time per request. The target
  applies to this ratio, because other work on the machine hardly changes it. "From - to" is its smallest and largest
  value in a round.
- "By throughput" is product / limit, of requests per second.
- "Product ms" and "limit ms" are response times.

{table(results)}

- {conditions}
- {server}; SQLite in WAL mode, synchronous=full; Python {platform.python_version()}.
- {machine()}; {date.today().isoformat()}.
- Load, services and database share the machine, so the absolute numbers mean little elsewhere; compare the
  ratios.
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
    return f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
