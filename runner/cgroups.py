"""Memory, process and processor limits of bubblewrap sandboxes, through cgroups version 1 or 2.

Groups are created below the runner's own group, which must be writable: always for root, else delegated by systemd.
"""

import os
import signal
import time
from pathlib import Path

from runner.sandboxes import EngineError, Limits

MOUNTS = Path("/sys/fs/cgroup")
CPU_PERIOD_US = 100_000
NEEDED = ("memory", "pids")


class Cgroups:
    """The places below which this runner can create groups, by controller (version 2: one for all)."""

    def __init__(self, prefix: str):
        own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        self.places: dict[str, Path] = {}
        for _, controllers, path in own:
            for controller in controllers.split(","):
                if controller in (*NEEDED, "cpu"):
                    self.places[controller] = MOUNTS / controllers / path.lstrip("/")
        self.is_version_2 = not self.places
        if self.is_version_2:
            self.places = dict.fromkeys((*NEEDED, "cpu"), MOUNTS / own[0][2].lstrip("/"))
        self.prefix = prefix

    def prepare(self) -> None:
        """Raise EngineError unless memory and processes can be limited."""
        try:
            if self.is_version_2:
                self._delegate()
            missing = [name for name in NEEDED if not os.access(self.places[name], os.W_OK)]
        except (OSError, KeyError) as error:
            raise EngineError(f"{NO_CGROUP} ({error})") from error
        if missing:
            raise EngineError(NO_CGROUP)

    def _delegate(self) -> None:
        """Version 2: a group with limited children has no processes itself, so move this one to a child."""
        place = self.places["memory"]
        if place.name.endswith("-main"):
            place = place.parent
        elif (place / "cgroup.type").exists():  # The root group has no type, and may have processes.
            main = place / f"{self.prefix}-main"
            main.mkdir(exist_ok=True)
            (main / "cgroup.procs").write_text(str(os.getpid()))
        (place / "cgroup.subtree_control").write_text("+memory +pids +cpu")
        self.places = dict.fromkeys(self.places, place)

    def create(self, name: str, limits: Limits) -> "Cgroup":
        return Cgroup(sorted({place / name for place in self.places.values()}), limits)

    def clean(self, prefix: str) -> None:
        for place in set(self.places.values()):
            for folder in place.glob(f"{prefix}-*"):
                remove(folder)


class Cgroup:
    """One sandbox's group, in each hierarchy."""

    def __init__(self, folders: list[Path], limits: Limits):
        self.folders = folders
        memory, quota = str(limits.memory_bytes), str(int(limits.cpus * CPU_PERIOD_US))
        values = {
            # Version 1
            "memory.limit_in_bytes": memory,
            "memory.memsw.limit_in_bytes": memory,
            "cpu.cfs_period_us": str(CPU_PERIOD_US),
            "cpu.cfs_quota_us": quota,
            # Version 2
            "memory.max": memory,
            "memory.swap.max": "0",
            "memory.oom.group": "1",
            "cpu.max": f"{quota} {CPU_PERIOD_US}",
            # Both
            "pids.max": str(limits.processes),
        }
        for folder in folders:
            folder.mkdir()
            for file, value in values.items():
                if (folder / file).exists():
                    (folder / file).write_text(value)

    def kill(self) -> None:
        for folder in self.folders:
            kill(folder)

    def remove(self) -> None:
        for folder in self.folders:
            remove(folder)


def kill(folder: Path) -> bool:
    """Kill a group's processes. Returns whether it had any."""
    try:
        processes = (folder / "cgroup.procs").read_text().split()
    except FileNotFoundError:
        return False
    for process in processes:
        try:
            os.kill(int(process), signal.SIGKILL)
        except ProcessLookupError:
            continue
    return bool(processes)


def remove(folder: Path, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while kill(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:
            # The kernel may still count a process that has just ended.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


NO_CGROUP = (
    "Bubblewrap has no limits of its own, and the runner cannot create cgroups for memory and processes: submissions "
    "are rejected. Start the runner as root, or as a systemd service with Delegate=yes, or use podman or docker."
)
