"""A runner of each engine against a small service."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.images import build_image
from tests.runner.service import TOKEN, Service

ROOT = Path(__file__).parents[2]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
IMAGE = f"localhost/proofstone-runner-tests-{WORKER}"
PODMAN = os.environ | {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
SANDBOX_USERS = {"64701", "64702"}
# One process runs the tests with sandboxes, because they look for what is left on the machine.
with_sandboxes = pytest.mark.xdist_group("sandboxes")


def podman(*arguments):
    command = ["podman", "--runtime", "runc", *arguments]
    return subprocess.run(command, env=PODMAN, capture_output=True, text=True, check=True).stdout


def cgroups(prefix):
    """List the control groups with this prefix. Ignores groups that are removed during the search."""
    walk = os.walk("/sys/fs/cgroup")
    return [f"{folder}/{name}" for folder, names, _ in walk for name in names if name.startswith(prefix)]


def find_missing(engine):
    """Return why this engine's tests are skipped, or None."""
    if os.geteuid() != 0:
        return "needs root"
    programs = ("bwrap",) if engine == "bubblewrap" else ("podman", "runc")
    if missing := [program for program in programs if not shutil.which(program)]:
        return f"needs {' and '.join(missing)}"
    if subprocess.run(["/usr/bin/python3", "-c", "import pytest"], capture_output=True).returncode:
        return "needs Debian's python3-pytest"
    if engine == "podman":
        result = subprocess.run(["podman", "--runtime", "runc", "info"], env=PODMAN, capture_output=True)
        return f"podman: {result.stderr.decode()[-200:]}" if result.returncode else None
    return None if os.access("/sys/fs/cgroup", os.W_OK) else "needs writable cgroups"


class Runner:
    """A `python -m runner` process and its service."""

    def __init__(self, engine, folder):
        self.engine, self.folder = engine, folder
        self.service = Service()
        self.process = None

    def start(self, *options, **environment):
        if self.process:
            self.process.stderr.close()
        command = [sys.executable, "-m", "runner", "--url", self.service.url, "--engine", self.engine]
        command += ["--folder", self.folder, *options]
        if self.engine == "podman":
            command += ["--runtime", "runc", "--image", IMAGE]
        variables = os.environ | {"RUNNER_TOKEN": TOKEN} | environment
        self.process = subprocess.Popen(command, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True)

    def stop(self, number=signal.SIGTERM):
        """Signal the process, wait for its end, and return its exit code and log."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log

    def run(self, **job):
        """Return a job's result."""
        number = self.service.add(**job)
        self.service.wait_for(lambda: any(result["id"] == number for result in self.service.results))
        return next(result for result in self.service.results if result["id"] == number)

    def leftovers(self):
        """Return what jobs left on this machine: processes, cgroups, mounts, containers, files."""
        found = [f"process {name}" for name in sandbox_processes()]
        found += cgroups("proofstone-runner-")
        found += [line for line in Path("/proc/mounts").read_text().splitlines() if "proofstone" in line]
        for folder, folders, _ in os.walk(self.folder):
            # Of each runner's folder, its jobs.
            if Path(folder).parent == self.folder:
                found += folders
        found += map(str, Path("/run/netns").glob("*"))
        if self.engine == "podman":
            found += podman("ps", "--all", "--quiet", "--filter", "name=proofstone-runner").split()
            found += podman("volume", "ls", "--quiet").split()
        return found


def sandbox_processes():
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # A dead process waits for this machine's init.
        if "\nState:\tZ" not in status and SANDBOX_USERS & set(
            status.partition("\nUid:")[2].partition("\n")[0].split()
        ):
            yield f"{folder.name}: {status.split()[1]}"


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    build_image(IMAGE, tmp_path_factory.mktemp("image"))
    yield IMAGE
    podman("rmi", "--force", IMAGE)


@pytest.fixture(scope="module", params=["bubblewrap", "podman"])
def engine(request):
    if missing := find_missing(request.param):
        pytest.skip(f"{request.param}: {missing}")
    if request.param == "podman":
        request.getfixturevalue("image")
    return request.param


@pytest.fixture
def stopped_runner(engine, tmp_path):
    """A runner that the test starts."""
    runner = Runner(engine, tmp_path / "runner")
    yield runner
    if runner.process.poll() is None:
        runner.stop()
    runner.process.stderr.close()
    runner.service.stop()


@pytest.fixture(scope="module")
def running(engine, tmp_path_factory):
    """A runner for all tests of a module."""
    runner = Runner(engine, tmp_path_factory.mktemp("runner") / "jobs")
    runner.start("--jobs", "2")
    yield runner
    assert runner.stop()[0] == 0
    runner.service.stop()
