"""The numbers as a table, and the machine that they come from."""

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.load import Outcome

HEAD = ("operation", "product /s", "limit /s", "product / limit", "product ms", "limit ms", "errors")


class Result(NamedTuple):
    """One operation's rounds, the product's and the limit's side by side."""

    name: str
    rounds: Sequence[tuple[Outcome, Outcome]]

    @property
    def ratio(self) -> float:
        """The product's throughput as a share of the limit's: the median of the rounds."""
        return median(product.per_second / (limit.per_second or 1) for product, limit in self.rounds)

    @property
    def errors(self) -> int:
        return sum(outcome.errors for both in self.rounds for outcome in both)

    def cells(self) -> list[str]:
        product, limit = zip(*self.rounds, strict=True)
        return [
            self.name,
            f"{median(outcome.per_second for outcome in product):.0f}",
            f"{median(outcome.per_second for outcome in limit):.0f}",
            f"{self.ratio:.2f}",
            f"{median(outcome.median_ms for outcome in product):.1f}",
            f"{median(outcome.median_ms for outcome in limit):.1f}",
            str(self.errors),
        ]


def table(results: Sequence[Result]) -> str:
    """A Markdown table that can be read as it is."""
    rows = [list(HEAD), *(result.cells() for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = [_line(row, widths) for row in rows]
    rule = "| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |"
    return "\n".join([head, rule, *body])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        row[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
    ]
    return "| " + " | ".join(cells) + " |"


def document(results: Sequence[Result], conditions: str, server: str) -> str:
    """RESULTS.md."""
    return f"""# Results of the last run

`make bench`, {date.today().isoformat()}. The product beside a bare WSGI application (`benchmarks/limit`) with
hand-written SQL on the same tables, both under gunicorn with the same settings, on one durable PostgreSQL.
The two take turns; each number is the median of the rounds, times are medians of an answer's time.

{table(results)}

- {conditions}
- {machine()}
- {server}; Python {platform.python_version()}
- Load, services and database share the machine, so the absolute numbers mean little elsewhere; the ratio is what
  to look at.
"""


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
