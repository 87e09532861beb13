"""CPU time and memory of processes and their descendants, from /proc on Linux."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
MEBIBYTE_KB = 1024


class Memory(NamedTuple):
    """Memory in MiB: `resident` counts shared pages once per process (RSS), `proportional` once in total (PSS)."""

    resident: float
    proportional: float


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    children = defaultdict(list)
    for each, fields in _stats():
        children[int(fields[1])].append(each)
    found = [pid]
    for each in found:
        found += children[each]
    return found


def processor_seconds(pids: Iterable[int]) -> float:
    """CPU time used so far by the processes and their descendants, including those that have ended."""
    families = {member for pid in pids for member in family(pid)}
    return sum(sum(map(int, fields[11:15])) for each, fields in _stats() if each in families) / TICKS


def memory(pids: Iterable[int]) -> Memory:
    """Total memory of exactly these processes."""
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
    """The id of each process, and the fields of /proc/<pid>/stat after its name, starting with the state."""
    for folder in PROC.glob("[0-9]*"):
        try:
            text = folder.joinpath("stat").read_text()
        except OSError:
            continue  # The process has ended.
        yield int(folder.name), text.rpartition(")")[2].split()
