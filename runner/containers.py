"""Sandboxes by podman or docker, in images that exist on this machine."""

import json
import subprocess
from itertools import count
from pathlib import Path

from runner import EngineError
from runner.sandboxes import ENGINE_ENVIRONMENT, ENVIRONMENT, SCRIPT, Running, Sandbox
from runner.seccomp import build_profile

MAX_SECONDS = 60
OPTIONS = (
    *("--interactive", "--pull", "never", "--read-only", "--cap-drop", "ALL", "--ipc", "private"),
    *("--security-opt", "no-new-privileges", "--ulimit", "core=0:0", "--ulimit", "nofile=4096:4096"),
    *("--log-driver", "none", "--stop-signal", "KILL"),
)
PODMAN_OPTIONS = ("--read-only-tmpfs=false", "--no-hosts", "--image-volume", "ignore")
PODMAN_PROFILES = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))


class Containers:
    """Sandboxes in containers."""

    profile: Path

    def __init__(self, name: str, prefix: str, runtime: str | None, image: str | None):
        self.name, self.prefix, self.runtime, self.image = name, prefix, runtime, image
        # podman's runtime is an option of every command.
        self.program = [name, *(["--runtime", runtime] if runtime and name == "podman" else [])]
        self.numbers = count(1)

    def call(self, *arguments: str) -> str:
        command = [*self.program, *arguments]
        try:
            result = subprocess.run(
                command, env=ENGINE_ENVIRONMENT, capture_output=True, text=True, timeout=MAX_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"{self.name} failed: {error}") from error
        if result.returncode:
            raise EngineError(f"{self.name} {arguments[0]} failed: {result.stderr.strip()[-500:]}")
        return result.stdout

    def check(self, folder: Path) -> None:
        """Raise EngineError unless the engine answers."""
        self.call("info")
        if self.name == "podman":
            profile = next((path for path in PODMAN_PROFILES if path.exists()), None)
            if not profile:
                raise EngineError(f"podman's seccomp profile is missing: {PODMAN_PROFILES[-1]}.")
            self.profile = folder / "seccomp.json"
            self.profile.write_text(json.dumps(build_profile(json.loads(profile.read_text()))))

    def start(self, sandbox: Sandbox) -> Running:
        return RunningContainer(self, sandbox)

    def image_digest(self, image: str | None) -> str | None:
        name = image or self.image
        if not name:
            raise EngineError("The task names no image, and the runner was started without --image.")
        try:
            return self.call("image", "inspect", "--format", "{{.Id}}", name).strip()
        except EngineError as error:
            raise EngineError(f"The runner lacks the image: `{self.name} pull {name}`.") from error

    def clean(self, prefix: str) -> None:
        self.remove(f"^{prefix}-")

    def remove(self, pattern: str) -> None:
        """Kill and remove the containers whose name matches, those that joined another's network first."""
        names = self.call("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={pattern}").split()
        for name in sorted(names, key=lambda name: -int(name.rpartition("-")[2])):
            self.call("rm", "--force", "--volumes", name)


class RunningContainer(Running):
    """The engine's process that is attached to the container."""

    def __init__(self, engine: Containers, sandbox: Sandbox):
        self.engine, self.name = engine, f"{engine.prefix}-{next(engine.numbers)}"
        super().__init__(sandbox, self.build_command(engine, sandbox))

    def build_command(self, engine: Containers, sandbox: Sandbox) -> list[str]:
        command = [*engine.program, "run", *OPTIONS, "--name", self.name]
        command += ["--user", f"{sandbox.user}:{sandbox.user}", "--shm-size", str(sandbox.disk_bytes)]
        command += ["--memory", str(sandbox.memory_bytes), "--memory-swap", str(sandbox.memory_bytes)]
        command += ["--pids-limit", str(sandbox.limits["processes"]), "--cpus", str(sandbox.limits["cpus"])]
        if engine.name == "podman":
            command += [*PODMAN_OPTIONS, "--security-opt", f"seccomp={engine.profile}"]
            # The container also ends without the runner.
            command += ["--timeout", str(int(sandbox.seconds) + MAX_SECONDS)]
        elif engine.runtime:
            command += ["--runtime", engine.runtime]
        if isinstance(sandbox.joins, RunningContainer):
            command += ["--network", f"container:{sandbox.joins.name}"]
        elif not sandbox.network:
            command += ["--network", "none"]
        for folder in (*sandbox.folders, "/tmp"):
            command += ["--tmpfs", f"{folder}:rw,exec,nosuid,nodev,size={sandbox.disk_bytes},mode=1777"]
        for name, value in (ENVIRONMENT | sandbox.environment).items():
            command += ["--env", f"{name}={value}"]
        command += [
            "--workdir",
            sandbox.folders[0],
            "--entrypoint",
            "sh",
            sandbox.image or engine.image or "",
        ]
        return [*command, "-c", SCRIPT, "sh", sandbox.command, sandbox.collect]

    def kill(self) -> None:
        self.engine.remove(f"^{self.name}$")

    def remove(self) -> None:
        super().remove()
        # A container that was still being created was not found before.
        self.kill()
