"""A short form of `make chaos`: faults under load, and nothing that was acknowledged is lost."""

import subprocess
import sys

import pytest

from tests.live.service import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_whatever_is_killed(database):
    command = [sys.executable, "-m", "chaos", "--database", database, "--rounds", "2", "--seed", "5"]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "losses 0" in played.stdout
