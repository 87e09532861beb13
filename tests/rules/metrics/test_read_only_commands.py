"""Read-only commands."""

import pytest

from rules.metrics.read_only_commands import is_read_only

READING = [
    "ls", "cat README.md", "rg -n 'a => b' src | head -20", "find . -name '*.go' 2>&1 | wc -l", "git log -5",
    "cd src && grep -r queue . 2>/dev/null | sort | uniq", "sed -n 1,40p main.go", "git --no-pager diff HEAD~1",
    "/usr/bin/cat x; echo ---; cat y",
]  # fmt: skip
OTHERS = [
    "", "echo hello", "cd src", "go test ./...", "cat a > b", "cat >> notes.md <<'EOF'\ntext\nEOF", "git push", "git",
    "rm -rf build && ls", "find . -name '*.pyc' -delete", "find . -exec rm {} +", "sed -i s/a/b/ main.go",
    "sed -n -i.bak 1p main.go", "rg -l old | xargs sed -i s/old/new/",
]  # fmt: skip


@pytest.mark.parametrize("command", READING)
def test_reading_commands_are_read_only(command):
    assert is_read_only(command)


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands_are_not_read_only(command):
    assert not is_read_only(command)
