"""Processor time and memory of processes and their descendants, from Linux's /proc."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


def process_tree(pid: int) -> list[int]:
    """Return the ids of a process and its descendants."""
    children = defaultdict(list)
    for child, fields in _stats():
        children[int(fields[1])].append(child)
    tree = [pid]
    for process in tree:
        tree += children[process]
    return tree


def processor_seconds(pids: Iterable[int]) -> float:
    """Return the processor time used by the processes and their descendants, including exited processes."""
    all_pids = {descendant for pid in pids for descendant in process_tree(pid)}
    return sum(sum(map(int, fields[11:15])) for pid, fields in _stats() if pid in all_pids) / TICKS


def memory(pids: Iterable[int]) -> float:
    """Return the resident memory of the processes in MiB. Shared pages count once per process."""
    lines = [line for pid in pids for line in (PROC / str(pid) / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def _stats() -> Iterable[tuple[int, list[str]]]:
    """Yield each process's id and its fields in /proc/<pid>/stat, starting with the state."""
    for folder in PROC.glob("[0-9]*"):
        try:
            text = folder.joinpath("stat").read_text()
        except OSError:
            continue  # The process has exited.
        yield int(folder.name), text.rpartition(")")[2].split()
