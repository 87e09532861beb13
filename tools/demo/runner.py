"""A runner for the demo's own hidden tests, if this machine has what it needs."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.demo.tasks import PROBLEMS
from tools.scripts.run_with_parent import with_parent
from tools.scripts.service import HOST, POLL_SECONDS, STOP_SECONDS, Stopped

# The engines' programs. bubblewrap needs no images, but runs only programs below /usr.
PROGRAMS = {"bubblewrap": "bwrap", "podman": "podman", "docker": "docker"}
TOOLS, TOOLS_PATH = ("python3", "node"), "/usr/local/bin:/usr/bin"
RUNS = "Hidden tests of the submissions are being run with {}; all results are there within a minute."
WAITS = "Hidden tests wait for a runner, which needs bubblewrap, podman or docker (docs/runner.md)."


@contextmanager
def start(port: int, token: str, folder: Path) -> Iterator[str]:
    """Run a runner with the first engine that works during the `with` block. Yields a sentence about it."""
    settings = {"RUNNER_URL": f"http://{HOST}:{port}", "RUNNER_TOKEN": token, "RUNNER_TOKEN_FILE": ""}
    settings |= {"RUNNER_FOLDER": f"{folder}/runner", "RUNNER_JOBS": "2"}
    for engine in filter(_has_tools, PROGRAMS):
        log = folder / f"runner-{engine}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                with_parent([sys.executable, "-m", "runner", "--engine", engine], "SIGTERM"),
                env=os.environ | settings, stderr=output, process_group=0,
            )  # fmt: skip
        try:
            while process.poll() is None and "Waiting for jobs" not in log.read_text():
                time.sleep(POLL_SECONDS)
            if process.poll() is None:
                yield RUNS.format(engine)
                return
        finally:
            _stop(process)
    yield WAITS


def _stop(process: subprocess.Popen) -> None:
    """Stop the runner after its current jobs."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except (Stopped, subprocess.TimeoutExpired):
        process.kill()


def _has_tools(engine: str) -> bool:
    if not shutil.which(PROGRAMS[engine]):
        return False
    if engine == "bubblewrap":
        return all(shutil.which(tool, path=TOOLS_PATH) for tool in TOOLS)
    images = [json.loads(file.read_text())["image"] for file in PROBLEMS.glob("*/tests/tests.json")]
    return subprocess.run([engine, "image", "inspect", *images], capture_output=True).returncode == 0
