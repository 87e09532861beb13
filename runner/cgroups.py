"""Memory, process and processor limits of bubblewrap sandboxes, through cgroups version 1 or 2.

Groups are created below the runner's own group, which must be writable: for root, or delegated by systemd.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from runner import EngineError
from runner.sandboxes import Sandbox

MOUNTS = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "pids", "cpu")
CPU_PERIOD_US = 100_000
REMOVAL_SECONDS = 10
UNLIMITED = (
    "Submissions are rejected: bubblewrap has no limits of its own, and the runner cannot create cgroups for memory "
    "and processes. Start it as root, or as a systemd service with Delegate=yes, or use podman or docker."
)


class Cgroups:
    """The folders in which this runner creates groups: one, or in version 1 one for each controller."""

    def __init__(self, prefix: str):
        self.prefix = prefix
        own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        self.folders = {
            controller: MOUNTS / names / path.lstrip("/")
            for _, names, path in own
            for controller in names.split(",")
            if controller in CONTROLLERS
        }
        self.is_version_2 = not self.folders
        if self.is_version_2:
            self.folders = dict.fromkeys(CONTROLLERS, MOUNTS / own[0][2].lstrip("/"))

    def prepare(self) -> None:
        """Raise EngineError unless memory and processes can be limited."""
        try:
            if self.is_version_2:
                self._delegate(self.folders["memory"])
            is_limited = all(os.access(self.folders[name], os.W_OK) for name in ("memory", "pids"))
        except (OSError, KeyError) as error:
            raise EngineError(f"{UNLIMITED} ({error})") from error
        if not is_limited:
            raise EngineError(UNLIMITED)

    def _delegate(self, folder: Path) -> None:
        """Move this process to a child group: a group with limited children must not have processes."""
        if folder.name.endswith("-main"):
            folder = folder.parent
        elif (folder / "cgroup.type").exists():  # Not in the root group, which may have processes
            main = folder / f"{self.prefix}-main"
            main.mkdir(exist_ok=True)
            (main / "cgroup.procs").write_text(str(os.getpid()))
        (folder / "cgroup.subtree_control").write_text("+memory +pids +cpu")
        self.folders = dict.fromkeys(CONTROLLERS, folder)

    def create(self, name: str, sandbox: Sandbox) -> list[Path]:
        """Create a sandbox's group, and return its folders."""
        memory, quota = str(sandbox.memory_bytes), str(int(sandbox.limits["cpus"] * CPU_PERIOD_US))
        values = {"pids.max": str(sandbox.limits["processes"])}
        # Version 1. The limit of memory and swap must not be below that of memory. Buffers of TCP are separate.
        values |= {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory}
        values |= {"memory.kmem.tcp.limit_in_bytes": str(sandbox.limits["memoryMb"] << 20)}
        values |= {"cpu.cfs_period_us": str(CPU_PERIOD_US), "cpu.cfs_quota_us": quota}
        # Version 2
        values |= {"memory.max": memory, "memory.swap.max": "0", "cpu.max": f"{quota} {CPU_PERIOD_US}"}
        groups = [folder / name for folder in set(self.folders.values())]
        for group in groups:
            group.mkdir()
            for file, value in values.items():
                if (group / file).exists():
                    (group / file).write_text(value)
        return groups

    def clean(self, prefix: str) -> None:
        remove_all([group for folder in set(self.folders.values()) for group in folder.glob(f"{prefix}-*")])


def kill(group: Path) -> None:
    """Kill a group's processes, if it exists."""
    try:
        for process in (group / "cgroup.procs").read_text().split():
            os.kill(int(process), signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return


def remove_all(groups: Iterable[Path]) -> None:
    """Remove groups, and afterwards raise the error of one that cannot be removed."""
    with ExitStack() as stack:
        for group in groups:
            stack.callback(remove, group)


def remove(group: Path) -> None:
    deadline = time.monotonic() + REMOVAL_SECONDS
    while group.exists():
        kill(group)
        try:
            group.rmdir()
        except OSError:
            # Killed processes take a moment to end.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
