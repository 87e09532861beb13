"""A short `make chaos`: faults under load lose nothing that was acknowledged."""

import subprocess
import sys

import pytest

from tests.live.service import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_faults_lose_nothing_that_was_acknowledged(database):
    command = [sys.executable, "-m", "tools.chaos", "--database", database, "--rounds", "2", "--seed", "5"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "losses 0" in result.stdout
