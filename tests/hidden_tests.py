"""Runs the hidden tests of a shipped problem on this machine, without a sandbox."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

PROBLEMS = Path(__file__).parent.parent / "data" / "problems"
NAMES = sorted(folder.name for folder in PROBLEMS.iterdir())
TIMEOUT_SECONDS = 60


def copy(problem, folder, *parts):
    """Copy the problem's `parts`, such as "repository", over each other into the folder."""
    for part in parts:
        shutil.copytree(PROBLEMS / problem / part, folder, dirs_exist_ok=True)


def outcomes(problem, work, report):
    """Return for each hidden test whether it passes on the files in the folder `work`."""
    tests = PROBLEMS / problem / "tests"
    settings = json.loads((tests / "tests.json").read_text())
    environment = os.environ | {"REPORT": str(report), "PYTHONDONTWRITEBYTECODE": "1"}
    # The tests' ports are fixed.
    with lock():
        serve = settings["serve"].replace("/serve/", f"{tests}/serve/")
        with running(f"exec {serve}", work, environment):
            run(settings["command"], tests, environment)
    return {
        f"{case.get('classname')}::{case.get('name')}": len(case) == 0
        for case in ElementTree.parse(report).iter("testcase")
    }


def run(command, folder, environment=None):
    """Run a shell command, or skip the test if its program is missing. Returns the completed process."""
    program = command.split()[0]
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed.")
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )  # fmt: skip


@contextmanager
def running(command, folder, environment):
    null = subprocess.DEVNULL
    process = subprocess.Popen(command, shell=True, cwd=folder, env=environment, stdout=null, stderr=null)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT_SECONDS)


@contextmanager
def lock():
    with open(Path(tempfile.gettempdir(), "proofstone-hidden-tests.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
