"""Processor time and memory of processes and their descendants, from Linux' /proc."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
MEBIBYTE_KB = 1024


class Memory(NamedTuple):
    """In MiB: `resident` counts shared pages in each process (RSS), `proportional` splits them (PSS)."""

    resident: float
    proportional: float


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    children = defaultdict(list)
    for child, fields in _stats():
        children[int(fields[1])].append(child)
    members = [pid]
    for member in members:
        members += children[member]
    return members


def processor_seconds(pids: Iterable[int]) -> float:
    """The processor time of the processes and their descendants so far, including those that have exited."""
    members = {member for pid in pids for member in family(pid)}
    return sum(sum(map(int, fields[11:15])) for pid, fields in _stats() if pid in members) / TICKS


def memory(pids: Iterable[int]) -> Memory:
    """The total memory of exactly these processes."""
    resident = proportional = 0
    for pid in pids:
        lines = dict(
            line.split(":", 1)
            for line in PROC.joinpath(str(pid), "smaps_rollup").read_text().splitlines()[1:]
        )
        resident += int(lines["Rss"].split()[0])
        proportional += int(lines["Pss"].split()[0])
    return Memory(resident / MEBIBYTE_KB, proportional / MEBIBYTE_KB)


def _stats() -> Iterable[tuple[int, list[str]]]:
    """(process id, fields of /proc/<pid>/stat from the state on) of every process."""
    for folder in PROC.glob("[0-9]*"):
        try:
            text = folder.joinpath("stat").read_text()
        except OSError:
            continue  # The process has exited.
        yield int(folder.name), text.rpartition(")")[2].split()
