"""Sandboxes by bubblewrap, with the machine's own toolchains below /usr."""

import json
import os
import tarfile
import threading
from itertools import count
from pathlib import Path

from runner.cgroups import Cgroups
from runner.sandboxes import (
    SANDBOX_ENVIRONMENT,
    SCRIPT,
    SUBMISSION_USER,
    EngineError,
    Limits,
    Running,
    Sandbox,
)
from runner.seccomp import ARCHITECTURES, build_filter

# `sh` enters the cgroups before it becomes the sandbox.
ENTER = 'for group in $GROUPS_; do echo $$ > "$group/cgroup.procs" || exit 1; done; exec "$@"'


class Bubblewrap:
    """Sandboxes in new namespaces of an unprivileged user of this machine."""

    name = "bubblewrap"

    def __init__(self, prefix: str):
        self.prefix = prefix
        self.cgroups = Cgroups(prefix)
        self.numbers = count(1)
        self.system = [
            argument
            for name in ("bin", "sbin", "lib", "lib32", "lib64")
            if (path := Path("/", name)).is_symlink()
            for argument in ("--symlink", os.readlink(path), f"/{name}")
        ]

    def check(self, folder: Path) -> None:
        """Raise EngineError unless submissions can run on this machine."""
        if os.uname().machine not in ARCHITECTURES:
            raise EngineError(
                f"There is no list of system calls for {os.uname().machine}: use podman or docker."
            )
        self.cgroups.prepare()
        with tarfile.open(folder / "check.files", "w"):
            sandbox = Sandbox(
                name="check",
                user=SUBMISSION_USER,
                command="true",
                limits=Limits(memory_mb=64, disk_mb=1, processes=16, cpus=1),
                seconds=20,
                files=folder / "check.files",
                folders=("/work",),
                output=folder / "check.output",
            )
        running = self.start(sandbox)
        running.wait(threading.Event())
        running.remove()
        if running.process.returncode != 0:
            raise EngineError(f"Bubblewrap cannot start a sandbox: {running.last_output()}")

    def image_digest(self, image: str | None) -> str | None:
        return None

    def clean(self, prefix: str) -> None:
        self.cgroups.clean(prefix)

    def start(self, sandbox: Sandbox) -> Running:
        if sandbox.network:
            raise EngineError("Setup needs network, which only podman and docker can give to a sandbox.")
        return RunningBubblewrap(self, sandbox)


class RunningBubblewrap(Running):
    """A bwrap process, its cgroup, and the process whose network another sandbox can join."""

    first_process: int

    def __init__(self, engine: Bubblewrap, sandbox: Sandbox):
        self.cgroup = engine.cgroups.create(f"{engine.prefix}-{next(engine.numbers)}", sandbox.limits)
        enter = ["env", f"GROUPS_={' '.join(map(str, self.cgroup.folders))}", "sh", "-c", ENTER, "sh"]
        if sandbox.joins:
            assert isinstance(sandbox.joins, RunningBubblewrap)
            enter += ["nsenter", f"--net=/proc/{sandbox.joins.first_process}/ns/net"]
        info, info_writer = os.pipe()
        program, program_writer = os.pipe()
        os.write(program_writer, build_filter())
        os.close(program_writer)
        command = [*enter, *command_line(sandbox, engine.system, info_writer, program)]
        try:
            super().__init__(sandbox, command, (info_writer, program))
        finally:
            os.close(info_writer)
            os.close(program)
        with os.fdopen(info) as file:
            text = file.read()
        # Empty if bwrap failed: its message is the sandbox's output.
        self.first_process = json.loads(text)["child-pid"] if text else 0

    def kill(self) -> None:
        # bwrap's first process ends with it, and with that one all others.
        self.process.kill()
        self.cgroup.kill()

    def remove(self) -> None:
        super().remove()
        self.cgroup.remove()


def command_line(sandbox: Sandbox, system: list[str], info: int, program: int) -> list[str]:
    user, size = str(sandbox.user), str(sandbox.limits.disk_bytes)
    command = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs"]
    command += [
        "prlimit",
        "--core=0",
        "--nofile=4096",
        "env",
        "-i",
        "PATH=/usr/bin:/bin:/usr/local/bin",
        "bwrap",
    ]
    command += ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
    command += [] if sandbox.joins else ["--unshare-net"]
    command += [
        "--uid",
        user,
        "--gid",
        user,
        "--disable-userns",
        "--cap-drop",
        "ALL",
        "--hostname",
        "sandbox",
    ]
    command += ["--die-with-parent", "--new-session", "--info-fd", str(info), "--seccomp", str(program)]
    command += [
        "--ro-bind",
        "/usr",
        "/usr",
        *system,
        "--ro-bind-try",
        "/etc/alternatives",
        "/etc/alternatives",
    ]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--proc", "/proc", "--dev", "/dev"]
    for folder in (*sandbox.folders, "/tmp", "/dev/shm"):
        command += ["--size", size, "--perms", "0755", "--tmpfs", folder]
    command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", sandbox.folders[0], "--clearenv"]
    for name, value in (SANDBOX_ENVIRONMENT | sandbox.environment).items():
        command += ["--setenv", name, value]
    return [*command, "--", "sh", "-c", SCRIPT, "sh", sandbox.command, sandbox.collect]
