"""Detection of read-only shell commands."""

import pytest

from rules.metrics.read_only_commands import is_read_only

READ_ONLY = [
    "ls", "cat README.md", "rg -n 'a => b' src | head -20", "find . -name '*.go' 2>&1 | wc -l", "git log -5",
    "cd src && grep -r queue . 2>/dev/null | sort | uniq", "sed -n 1,40p main.go", "git --no-pager diff HEAD~1",
    "/usr/bin/cat x; echo ---; cat y",
]  # fmt: skip
NOT_READ_ONLY = [
    "", "echo hello", "cd src", "go test ./...", "cat a > b", "cat >> notes.md <<'EOF'\ntext\nEOF", "git push", "git",
    "rm -rf build && ls", "find . -name '*.pyc' -delete", "find . -exec rm {} +", "sed -i s/a/b/ main.go",
    "sed -n -i.bak 1p main.go", "rg -l old | xargs sed -i s/old/new/",
]  # fmt: skip


@pytest.mark.parametrize("command", READ_ONLY)
def test_commands_that_only_read(command):
    assert is_read_only(command)


@pytest.mark.parametrize("command", NOT_READ_ONLY)
def test_commands_that_write_or_run_code(command):
    assert not is_read_only(command)
