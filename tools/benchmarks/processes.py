"""What processes use, as Linux tells it: processor time and memory of a process with all that it started."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
MEBIBYTE_KB = 1024


class Memory(NamedTuple):
    """In MiB: `resident` counts what processes share in each of them, `proportional` a share of it."""

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
    """What the processes with their descendants have used so far, those that have ended included."""
    families = {member for pid in pids for member in family(pid)}
    return sum(sum(map(int, fields[11:15])) for each, fields in _stats() if each in families) / TICKS


def memory(pids: Iterable[int]) -> Memory:
    """Of just these processes, together."""
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
    """Of each process its id and the fields of /proc/<pid>/stat after its name, beginning with the state."""
    for folder in PROC.glob("[0-9]*"):
        try:
            text = folder.joinpath("stat").read_text()
        except OSError:
            continue  # It has ended meanwhile.
        yield int(folder.name), text.rpartition(")")[2].split()
