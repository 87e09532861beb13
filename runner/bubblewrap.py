"""Sandboxes by bubblewrap, with the machine's own toolchains below /usr."""

import json
import os
import tarfile
import threading
from itertools import count
from pathlib import Path

from runner import EngineError
from runner.cgroups import Cgroups, kill, remove_all
from runner.sandboxes import ENVIRONMENT, SCRIPT, SUBMISSION_USER, Running, Sandbox
from runner.seccomp import ARCHITECTURES, build_filter

# A shell enters the groups before it becomes the sandbox.
ENTER = 'for file in $PROCS; do echo $$ > "$file" || exit 1; done; exec "$@"'
PATH = "PATH=/usr/local/bin:/usr/bin:/bin"
CHECK_LIMITS = {"memoryMb": 64, "diskMb": 1, "processes": 16, "cpus": 1}


class Bubblewrap:
    """Sandboxes of unprivileged users in namespaces of their own."""

    name = "bubblewrap"

    def __init__(self, prefix: str):
        self.prefix, self.cgroups, self.numbers = prefix, Cgroups(prefix), count(1)

    def check(self, folder: Path) -> None:
        """Raise EngineError unless submissions can run on this machine."""
        if os.uname().machine not in ARCHITECTURES:
            raise EngineError(f"System calls of {os.uname().machine} are unknown: use podman or docker.")
        self.cgroups.prepare()
        files, output = folder / "check.files", folder / "check.output"
        tarfile.open(files, "w").close()
        sandbox = Sandbox("check", "true", SUBMISSION_USER, CHECK_LIMITS, ("/work",), files, output, 20, None)
        running = self.start(sandbox)
        running.wait(threading.Event())
        running.remove()
        if running.process.returncode != 0:
            raise EngineError(f"bwrap cannot start a sandbox: {running.tail.decode(errors='replace')}")

    def start(self, sandbox: Sandbox) -> Running:
        if sandbox.network:
            raise EngineError("Setup needs network, which only podman and docker can give to a sandbox.")
        return RunningBubblewrap(self, sandbox)

    def image_digest(self, image: str | None) -> str | None:
        return None

    def clean(self, prefix: str) -> None:
        self.cgroups.clean(prefix)


class RunningBubblewrap(Running):
    """A bwrap process, its cgroup, and its network namespace, which another sandbox can join."""

    network: int | None

    def __init__(self, engine: Bubblewrap, sandbox: Sandbox):
        self.groups = engine.cgroups.create(f"{engine.prefix}-{next(engine.numbers)}", sandbox)
        procs = " ".join(str(group / "cgroup.procs") for group in self.groups)
        enter = ["env", f"PROCS={procs}", "sh", "-c", ENTER, "sh"]
        joined = sandbox.joins.network if isinstance(sandbox.joins, RunningBubblewrap) else None
        if joined is not None:
            enter += ["nsenter", f"--net=/proc/{os.getpid()}/fd/{joined}"]
        info, info_writer = os.pipe()
        seccomp, seccomp_writer = os.pipe()
        os.write(seccomp_writer, build_filter())
        os.close(seccomp_writer)
        command = enter + build_command(sandbox, info_writer, seccomp, joined is not None)
        super().__init__(sandbox, command, (info_writer, seccomp))
        os.close(info_writer)
        os.close(seccomp)
        with os.fdopen(info) as file:
            # Empty if bwrap failed: the sandbox has not started then, and its output says why.
            first_process = json.loads(file.read() or "{}").get("child-pid", "self")
        self.network = open_network(first_process)

    def kill(self) -> None:
        # The sandbox's first process ends with bwrap, and all others with that one.
        self.process.kill()
        for group in self.groups:
            kill(group)

    def remove(self) -> None:
        super().remove()
        if self.network is not None:
            os.close(self.network)
            self.network = None
        remove_all(self.groups)


def open_network(process: int | str) -> int | None:
    """Open a process's network namespace, unless the process has ended.

    Never the runner's own, which a process with the same number could have.
    """
    try:
        network = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
    except FileNotFoundError:
        return None
    if os.path.samestat(os.fstat(network), os.stat("/proc/self/ns/net")):
        os.close(network)
        return None
    return network


def build_command(sandbox: Sandbox, info: int, seccomp: int, has_network: bool) -> list[str]:
    user, network = sandbox.user, "" if has_network else "--unshare-net"
    command = f"""
        setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs prlimit --core=0 --nofile=4096
        env -i {PATH} bwrap --unshare-user --unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup-try {network}
        --uid {user} --gid {user} --disable-userns --cap-drop ALL --hostname sandbox --die-with-parent --new-session
        --info-fd {info} --seccomp {seccomp} --ro-bind /usr /usr --proc /proc --dev /dev
    """.split()
    for link in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        command += ["--symlink", os.readlink(link), link] if os.path.islink(link) else []
    for path in ("/etc/alternatives", "/etc/ld.so.cache"):
        command += ["--ro-bind-try", path, path]
    for folder in (*sandbox.folders, "/tmp", "/dev/shm"):
        command += ["--size", str(sandbox.disk_bytes), "--tmpfs", folder]
    command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", sandbox.folders[0], "--clearenv"]
    for name, value in (ENVIRONMENT | sandbox.environment).items():
        command += ["--setenv", name, value]
    return [*command, "--", "sh", "-c", SCRIPT, "sh", sandbox.command, sandbox.collect]
