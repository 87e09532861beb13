"""Recognize read-only commands such as `cat`, `rg` and `git log`."""

import re

from rules.metrics import shell

_READER = re.compile(
    "ack|ag|bat|cat|diff|du|[ef]?grep|fd|file|find|head|jq|less|ls|more|nl|rg|stat|tail|tree|wc|which"
)
_GIT_READER = re.compile("blame|diff|grep|log|ls-files|reflog|rev-parse|shortlog|show|status")
# Often combined with commands that read.
_HARMLESS = re.compile(r"\[|awk|cd|cut|echo|printf|pwd|sort|test|tr|true|uniq")
_FIND_ACTIONS = frozenset(("-delete", "-exec", "-execdir", "-ok", "-okdir"))
# Quoted strings, and redirections that do not write a file.
_NOT_WRITING = re.compile(r"""'[^']*'|"[^"]*"|&?[0-9]?>>?\s*(?:&[0-9]|/dev/null)""")


def is_read_only(command: str) -> bool:
    """Return whether at least one part of the command reads, and all others read or are harmless."""
    if ">" in _NOT_WRITING.sub("", command[: shell.MAX_CHARACTERS]):
        return False
    parts = [_reads(words) for words in shell.split_parts(command)]
    return True in parts and False not in parts


def _reads(words: list[str]) -> bool | None:
    """Return True if the part only reads, False if it can write, or None if it is harmless."""
    program = words[0].rpartition("/")[2]
    if _HARMLESS.fullmatch(program):
        return None
    if program == "git":
        subcommand = next((word for word in words[1:] if not word.startswith("-")), "")
        return bool(_GIT_READER.fullmatch(subcommand))
    if program == "sed":
        return "-n" in words and not any(word.startswith("-i") for word in words)
    return bool(_READER.fullmatch(program)) and _FIND_ACTIONS.isdisjoint(words)
