"""Installations require the lock files' hashes, and images contain no secrets."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLERS = ("tools/scripts/setup.sh", "Dockerfile", "README.md", "docs/operating.md")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_locked_packages_have_hashes(name):
    text = (ROOT / name).read_text().replace("\\\n", "")
    packages = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert packages
    assert [line for line in packages if not re.search(r"==.* --hash=sha256:[0-9a-f]{64}", line)] == []
    assert "://" not in text, "The lock files must not name a package index."


@pytest.mark.parametrize("name", INSTALLERS)
def test_installations_require_hashes(name):
    commands = re.findall(r"pip install .*-r .*", (ROOT / name).read_text())
    assert commands
    assert [command for command in commands if "--require-hashes" not in command] == []


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".env.production",
        "deploy/.env",
        "backups",
        "proofstone-2026-04-01.tar",
        "proofstone.dump",
        "proofstone.db-wal",
    ],
)
def test_images_contain_no_settings_databases_or_backups(path):
    patterns = (ROOT / ".dockerignore").read_text().split()
    assert any(fnmatch(path, pattern.replace("**/", "*")) for pattern in patterns)
