"""The benchmarks run: what they compare still answers the same."""

import subprocess
import sys

import pytest

from tests.live.service import ROOT


@pytest.mark.slow
def test_the_bare_application_answers_as_the_product_does():
    command = [sys.executable, "-m", "benchmarks", "--check"]
    compared = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert compared.returncode == 0, compared.stderr
