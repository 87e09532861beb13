"""Sandboxes by podman or docker."""

import subprocess
from itertools import count
from pathlib import Path

from runner.sandboxes import ENVIRONMENT, SANDBOX_ENVIRONMENT, SCRIPT, EngineError, Running, Sandbox

SECONDS = 60


class Containers:
    """Sandboxes in containers of an image that exists on this machine."""

    def __init__(self, program: str, prefix: str, runtime: str | None, image: str | None):
        self.name, self.prefix, self.image = program, prefix, image
        self.program = [program, *(["--runtime", runtime] if runtime and program == "podman" else [])]
        self.runtime = runtime
        self.numbers = count(1)

    def call(self, *arguments: str) -> str:
        try:
            result = subprocess.run(
                [*self.program, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"{self.name} failed: {error}") from error
        if result.returncode != 0:
            raise EngineError(f"{self.name} {arguments[0]} failed: {result.stderr.strip()[-500:]}")
        return result.stdout

    def check(self, folder: Path) -> None:
        """Raise EngineError unless the engine answers."""
        self.call("info")

    def image_digest(self, image: str | None) -> str | None:
        name = image or self.image
        if not name:
            raise EngineError("The task names no image. Start the runner with --image.")
        try:
            return self.call("image", "inspect", "--format", "{{.Id}}", name).strip()
        except EngineError as error:
            raise EngineError(
                f"Download the image on the runner's machine: {self.name} pull {name}"
            ) from error

    def clean(self, prefix: str) -> None:
        self.remove(f"^{prefix}-")

    def remove(self, pattern: str) -> None:
        """Kill and remove the containers whose name matches."""
        if names := self.call("ps", "--all", "--quiet", "--filter", f"name={pattern}").split():
            self.call("rm", "--force", "--volumes", *names)

    def start(self, sandbox: Sandbox) -> Running:
        return RunningContainer(self, sandbox)

    def command_line(self, sandbox: Sandbox, name: str) -> list[str]:
        limits = sandbox.limits
        command = [
            *self.program,
            "run",
            "--interactive",
            "--name",
            name,
            "--pull",
            "never",
            "--log-driver",
            "none",
        ]
        command += ["--user", f"{sandbox.user}:{sandbox.user}", "--cap-drop", "ALL", "--read-only"]
        command += ["--security-opt", "no-new-privileges", "--ipc", "private", "--stop-signal", "KILL"]
        command += ["--memory", str(limits.memory_bytes), "--memory-swap", str(limits.memory_bytes)]
        command += ["--pids-limit", str(limits.processes), "--cpus", str(limits.cpus)]
        command += [
            "--ulimit",
            "core=0:0",
            "--ulimit",
            "nofile=4096:4096",
            "--shm-size",
            str(limits.disk_bytes),
        ]
        if self.name == "podman":
            command += ["--read-only-tmpfs=false", "--no-hosts", "--image-volume", "ignore"]
            command += ["--timeout", str(int(sandbox.seconds) + SECONDS)]
        elif self.runtime:
            command += ["--runtime", self.runtime]
        if sandbox.joins:
            assert isinstance(sandbox.joins, RunningContainer)
            command += ["--network", f"container:{sandbox.joins.name}"]
        elif not sandbox.network:
            command += ["--network", "none"]
        for folder in (*sandbox.folders, "/tmp"):
            command += ["--tmpfs", f"{folder}:rw,exec,nosuid,nodev,size={limits.disk_bytes},mode=1777"]
        for variable, value in (SANDBOX_ENVIRONMENT | sandbox.environment).items():
            command += ["--env", f"{variable}={value}"]
        command += ["--workdir", sandbox.folders[0], "--entrypoint", "sh", sandbox.image or self.image or ""]
        return [*command, "-c", SCRIPT, "sh", sandbox.command, sandbox.collect]


class RunningContainer(Running):
    """The engine's process that is attached to the container."""

    def __init__(self, engine: Containers, sandbox: Sandbox):
        self.engine, self.name = engine, f"{engine.prefix}-{next(engine.numbers)}"
        super().__init__(sandbox, engine.command_line(sandbox, self.name))

    def kill(self) -> None:
        self.engine.remove(f"^{self.name}$")

    def remove(self) -> None:
        super().remove()
        # Also a container that was still being created.
        self.kill()
