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
        keys = ("LEDGER_KEYS", "INTEGRATION_KEYS")
        environment = {name: value for name, value in os.environ.items() if name not in keys}
        environment |= {
            "DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db",
            "LOG_LEVEL": "ERROR",
        } | settings
        command = [sys.executable, "-m", "tools.scripts.prepare"]
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert result.returncode == fails, result.stderr
        return result.stdout + result.stderr

    run.file = tmp_path / "proofstone.db.ledger-keys"
    run.integration_file = tmp_path / "proofstone.db.integration-keys"
    return run


def test_make_run_creates_private_keys_once(prepare):
    assert "Its token" in prepare()
    files = (prepare.file, prepare.integration_file)
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    before = [file.read_text() for file in files]
    assert before[0] != before[1]
    assert prepare() == ""
    assert [file.read_text() for file in files] == before


def test_make_run_creates_no_key_if_the_setting_has_one(prepare):
    prepare(LEDGER_KEYS="s" * 64, INTEGRATION_KEYS="t" * 64)
    assert not prepare.file.exists()
    assert not prepare.integration_file.exists()


def test_make_run_creates_no_ledger_key_for_a_restored_database(prepare):
    prepare()
    prepare.file.unlink()
    assert f"put {prepare.file} back" in prepare(fails=True)
    assert not prepare.file.exists()
