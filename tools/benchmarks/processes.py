"""Processor time and memory of processes and their descendants, from Linux' /proc."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


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


def memory(pids: Iterable[int]) -> float:
    """The resident memory of exactly these processes in MiB; shared pages count in each."""
    lines = [line for pid in pids for line in (PROC / str(pid) / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def _stats() -> Iterable[tuple[int, list[str]]]:
    """(process id, fields of /proc/<pid>/stat from the state on) of every process."""
    for folder in PROC.glob("[0-9]*"):
        try:
            text = folder.joinpath("stat").read_text()
        except OSError:
            continue  # The process has exited.
        yield int(folder.name), text.rpartition(")")[2].split()
