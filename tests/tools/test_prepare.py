"""The first step of `make run`."""

import os
import stat
import subprocess
import sys

import pytest

from tests.live.service import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def prepare(tmp_path):
    """Run the step for a database in a temporary folder, and return its output."""

    def run(fails=False, **settings):
        environment = {name: value for name, value in os.environ.items() if name != "LEDGER_KEYS"}
        environment |= {
            "DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db",
            "LOG_LEVEL": "ERROR",
        } | settings
        command = [sys.executable, "-m", "tools.scripts.prepare"]
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert result.returncode == fails, result.stderr
        return result.stdout + result.stderr

    run.file = tmp_path / "proofstone.db.ledger-keys"
    return run


def test_make_run_creates_a_private_ledger_key_once(prepare):
    assert "Its token" in prepare()
    assert stat.S_IMODE(prepare.file.stat().st_mode) == 0o600
    before = prepare.file.read_text()
    assert prepare() == ""
    assert prepare.file.read_text() == before


def test_make_run_creates_no_ledger_key_if_the_setting_has_one(prepare):
    prepare(LEDGER_KEYS="s" * 64)
    assert not prepare.file.exists()


def test_make_run_creates_no_ledger_key_for_a_restored_database(prepare):
    prepare()
    prepare.file.unlink()
    assert f"put {prepare.file} back" in prepare(fails=True)
    assert not prepare.file.exists()
