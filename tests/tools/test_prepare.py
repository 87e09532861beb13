"""The first step of `make run`."""

import stat

import config
from tools.scripts.prepare import create_seal_keys


def test_make_run_creates_a_private_seal_key_once(tmp_path):
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/data/proofstone.db"}
    create_seal_keys(config.load(environment))
    file = tmp_path / "data" / "proofstone.db.seal-keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    keys = config.load(environment).seal_keys
    assert keys
    create_seal_keys(config.load(environment))
    assert config.load(environment).seal_keys == keys


def test_make_run_creates_no_key_beside_the_setting(tmp_path):
    url = f"sqlite:///{tmp_path}/proofstone.db"
    create_seal_keys(config.load({"DATABASE_URL": url, "SEAL_KEYS": "s" * 64}))
    assert list(tmp_path.iterdir()) == []
