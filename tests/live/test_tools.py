"""The benchmarks and `make chaos`."""

import subprocess
import sys

import pytest

from tests.live.service import ROOT

KILLS = ["kill web process", "kill worker"]


def run(*command):
    result = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_benchmarks_bare_application_responds_like_the_service():
    run("tools.benchmarks", "--check")


@pytest.mark.parametrize(
    ("database", "faults"),
    [("sqlite", KILLS), ("postgresql", [*KILLS, "restart database", "crash database"])],
)
def test_faults_under_load_lose_no_acknowledged_write(database, faults):
    output = run("tools.chaos", "--database", database, "--rounds", "2", "--seed", "20")
    assert "losses 0" in output
    assert [fault for fault in faults if f" {fault} after" not in output] == []
