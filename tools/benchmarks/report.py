"""The numbers as tables, and the machine that they come from; RESULTS.md has a part for each kind of measurement."""

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


class Turn(NamedTuple):
    """An outcome of the load, and the processor time of service and database for an answer."""

    per_second: float
    median_ms: float
    errors: int
    processor_ms: float


class Round(NamedTuple):
    product: Turn
    limit: Turn
    on_sqlite: Turn


class Result(NamedTuple):
    """One operation's rounds."""

    operation: Operation
    rounds: list[Round]

    @property
    def ratios(self) -> list[float]:
        """The limit's processor time as a share of the product's, by round. Compared with the target."""
        return [_share(each.limit.processor_ms, each.product.processor_ms) for each in self.rounds]

    @property
    def errors(self) -> list[int]:
        """How many of the product's answers, of the limit's and of those on SQLite."""
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
    """A Markdown table that can be read as it is."""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rule = "| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |"
    return "\n".join([_line(head, widths), rule, *(_line(row, widths) for row in body)])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "| " + " | ".join([row[0].ljust(widths[0]), *numbers]) + " |"


def comparison(results: Sequence[Result], conditions: str, server: str) -> str:
    return f"""## Beside the limit

`make bench`. The product beside a bare WSGI application (`limit/`) with hand-written SQL on the same tables,
both under gunicorn with the same settings, on one durable PostgreSQL. The product has everything on that is on by
default: authentication, limits, audit, event feed, validation, log. The two take turns; numbers are medians of the
rounds.

- "By processor time" is limit / product, of the service's and the database's processor time for a request. The target
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
    """Put the part `name` into the file, in the place of an earlier one."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    document = file.read_text() if file.exists() else "# Results of the last runs\n"
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
