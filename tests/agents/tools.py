"""The coding agents: the locked npm packages, and the machine on which an agent runs."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Not deleted between runs: the packages are large.
CACHE = HERE.parents[1] / "var" / "agents"
INSTALL_SECONDS = 300
RUN_SECONDS = 300
PACKAGE_FILES = ("package.json", "package-lock.json")
# A copy of the lock file, written to the cache after a successful installation.
INSTALLED = "installed.json"


def install() -> Path:
    """Install the locked packages and return the folder of their commands. Skip the test if this fails."""
    for program in ("node", "npm", "git"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed.")
    packages = (HERE / "package-lock.json").read_text()
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / INSTALLED, "a+") as installed:
        # Another test process must not run an agent that is still being installed.
        fcntl.flock(installed, fcntl.LOCK_EX)
        installed.seek(0)
        if installed.read() != packages:
            for name in PACKAGE_FILES:
                shutil.copy(HERE / name, CACHE)
            # `npm ci` requires opencode's packages for every platform, which some registries lack.
            _run_npm("install", "--no-audit", "--no-fund")
            installed.truncate(0)
            installed.write(packages)
    return CACHE / "node_modules" / ".bin"


def _run_npm(*arguments: str) -> None:
    command = ["npm", *arguments]
    try:
        done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install the agents within {INSTALL_SECONDS} seconds.")
    if done.returncode:
        pytest.skip(f"npm cannot install the agents: {done.stderr.strip()[-300:]}")


class Machine:
    """A candidate's machine: a home folder, a git workspace, and a clean environment."""

    def __init__(self, folder: Path, files: dict[str, str]):
        self.home, self.workspace = folder / "home", folder / "workspace"
        self.home.mkdir()
        self.workspace.mkdir()
        path = os.pathsep.join([str(install()), os.environ["PATH"]])
        self.environment = {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        for name, content in files.items():
            (self.workspace / name).write_bytes(content.encode())
        self.run("git", "init", "--quiet")
        self.run("git", "add", ".")
        author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        self.run("git", *author, "commit", "--quiet", "-m", "Start")

    def run(self, *command: str) -> str:
        """Run a command in the workspace; return its output, or fail if the command fails."""
        done = subprocess.run(
            command, cwd=self.workspace, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=RUN_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def files(self) -> dict[str, str]:
        """Return the content of each file in the workspace, excluding git's."""
        paths = self.run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
        existing = [path for path in paths if path and (self.workspace / path).exists()]
        return {path: (self.workspace / path).read_bytes().decode() for path in existing}
