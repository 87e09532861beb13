"""Which commands only look at things: agents without a tool for reading read with `cat`, `rg` and `git log`."""

import re

from rules import shell

_LOOKERS = frozenset(
    [
        "ack",
        "ag",
        "bat",
        "cat",
        "diff",
        "du",
        "egrep",
        "fd",
        "fgrep",
        "file",
        "find",
        "grep",
        "head",
        "jq",
        "less",
        "ls",
        "more",
        "nl",
        "rg",
        "stat",
        "tail",
        "tree",
        "wc",
        "which",
    ]
)
_GIT_LOOKERS = frozenset(
    ["blame", "diff", "grep", "log", "ls-files", "reflog", "rev-parse", "shortlog", "show", "status"]
)
# They stand beside what looks, and change nothing themselves.
_HARMLESS = frozenset(
    ["[", "awk", "cd", "cut", "echo", "printf", "pwd", "sort", "test", "tr", "true", "uniq"]
)
_FIND_ACTIONS = frozenset(("-delete", "-exec", "-execdir", "-ok", "-okdir"))
# Quoted texts, and redirections that write no file.
_WRITES_NOTHING = re.compile(r"""'[^']*'|"[^"]*"|&?[0-9]?>>?\s*(?:&[0-9]|/dev/null)""")


def only_looks(command: str) -> bool:
    """Whether every part of the command looks at something or is harmless, and one of them looks."""
    if ">" in _WRITES_NOTHING.sub("", command[: shell.MOST_TEXT]):
        return False
    found = [_looks(words) for words in shell.parts(command) if words]
    return True in found and False not in found


def _looks(words: list[str]) -> bool | None:
    """True for a part that looks, False for one that may do more, None for a harmless one."""
    program = words[0].rpartition("/")[2]
    if program in _HARMLESS:
        return None
    if program == "git":
        return next((word in _GIT_LOOKERS for word in words[1:] if not word.startswith("-")), False)
    if program == "sed":
        return "-n" in words and not any(word.startswith("-i") for word in words)
    return program in _LOOKERS and _FIND_ACTIONS.isdisjoint(words)
