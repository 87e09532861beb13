"""Which commands only look at things."""

import pytest

from rules.looking import only_looks


@pytest.mark.parametrize(
    "command",
    [
        "ls",
        "cat README.md",
        "rg -n 'a => b' src | head -20",
        "cd src && grep -r queue . 2>/dev/null | sort | uniq",
        "find . -name '*.go' 2>&1 | wc -l",
        "sed -n 1,40p main.go",
        "git log --oneline -5",
        "git --no-pager diff HEAD~1",
        "/usr/bin/cat x; echo ---; cat y",
    ],
)
def test_it_looks(command):
    assert only_looks(command)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "echo hello",
        "cd src",
        "go test ./...",
        "cat a > b",
        "cat >> notes.md <<'EOF'\ntext\nEOF",
        "rm -rf build && ls",
        "find . -name '*.pyc' -delete",
        "find . -exec rm {} +",
        "sed -i s/a/b/ main.go",
        "sed -n -i.bak 1p main.go",
        "git push",
        "git",
        "rg -l old | xargs sed -i s/old/new/",
    ],
)
def test_it_does_more_or_nothing(command):
    assert not only_looks(command)
