"""A real runner process of a service."""

from pathlib import Path

from tests.live.service import Service, stop_process, wait_until
from tests.runner.conftest import IMAGE, cgroups, podman

PREFIX = "proofstone-runner"
READY = "Waiting for jobs of"


class Runner:
    """A runner with its own folder, which shows what its jobs left."""

    def __init__(self, service: Service, token: str, folder: Path, engine: str = "bubblewrap"):
        self.service, self.token, self.folder, self.engine = service, token, folder, engine
        self.prefixes: set[str] = set()
        self.start()

    def start(self) -> None:
        ready_before = self.service.log().count(READY)
        command = ["-m", "runner", "--engine", self.engine, "--folder", str(self.folder), "--jobs", "2"]
        command += ["--runtime", "runc", "--image", IMAGE] if self.engine == "podman" else []
        url = f"http://127.0.0.1:{self.service.port}"
        self.process = self.service.spawn(command, RUNNER_URL=url, RUNNER_TOKEN=self.token)
        wait_until(lambda: self.service.log().count(READY) > ready_before, "The runner did not start.")
        self.prefixes |= {f"{PREFIX}-{path.name}" for path in self.folder.glob("*/")}

    def kill(self) -> None:
        """Kill the process (kill -9)."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        return stop_process(self.process)

    def leftovers(self) -> list[object]:
        """Return folders, control groups and containers of this runner's jobs. A group with processes remains."""
        found: list[object] = [*self.folder.glob("*/")]
        for prefix in self.prefixes:
            found += cgroups(f"{prefix}-")
            if self.engine == "podman":
                found += podman("ps", "--all", "--quiet", "--filter", f"name={prefix}-").split()
        return found
