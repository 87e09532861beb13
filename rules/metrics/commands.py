"""Recognize tests, checks and builds, following the steps of rules/metrics/command-recognition.md."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rules.metrics import shell

KINDS = ("test", "check", "build")  # by priority

# Limits for hostile input, far above real commands. Some patterns take quadratic time within a word. Nested `bash -c`
# scripts need no limit: they are read without recursion, and quoting grows so fast that only a dozen levels fit in
# 256 KiB.
MAX_WORD_CHARACTERS = 256
MAX_PART_CHARACTERS = 16 * 1024
MAX_PREFIXES = 16  # per part
MAX_SESSION_CHARACTERS = 4 * 1024 * 1024  # in all commands

_LISTS = json.loads(Path(__file__).with_name("verifications.json").read_text(encoding="utf-8"))
_OPTIONS_WITH_VALUE = _LISTS["options_with_value"]
_TARGET_WORDS = _LISTS["runners"]["words"]
# Each pattern starts with `^`. They are tried in order.
_TOOLS = re.compile(
    "|".join(f"(?P<{tool['kind']}_{n}>{tool['pattern']})" for n, tool in enumerate(_LISTS["tools"]))
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_PYTHON = re.compile(r"python[\d.]*", re.ASCII)
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TARGET_WORD = re.compile(r"[A-Za-z0-9]+")

Names = dict[str, list[tuple[list[str], bool]]]


def _by_first_word(names: list[str], flagged: list[str]) -> Names:
    """Group names by their first word, as pairs of (words, is flagged), longest name first."""
    table: Names = {}
    for name in sorted([*names, *flagged], key=lambda name: -len(name.split())):
        table.setdefault(name.split()[0], []).append((name.split(), name in flagged))
    return table


_RUNNERS = _by_first_word(_LISTS["runners"]["first_argument"], _LISTS["runners"]["all_arguments"])
_PREFIXES = _by_first_word(_LISTS["prefixes"], _LISTS["prefixes_with_argument"])


def verification_kind(command: str) -> str | None:
    """Return `test`, `check` or `build`; None for other commands."""
    scripts, kinds = [command], set()
    while scripts and "test" not in kinds:
        for words in shell.split_parts(scripts.pop()):
            kinds.add(_part_kind(words, scripts))
    return next((kind for kind in KINDS if kind in kinds), None)


def _part_kind(words: list[str], scripts: list[str]) -> str | None:
    """Apply steps 4 to 6 to a part. Appends a shell's script to `scripts`."""
    for _ in range(MAX_PREFIXES):
        words = _program_first(words)
        if not words or _asks_for_help(words):
            return None
        if words[0] == "python" and (module := _after_option(words, "-m")):
            words = module
            continue
        if words[0] in ("bash", "sh", "zsh") and (script := _after_option(words, "-[a-z]*c")) is not None:
            scripts += script[:1]
            return None
        kind = _runner_kind(words) or _tool_kind(words)
        if kind is not None:
            return kind
        words = _without_prefix(words)
    return None


def _program_first(words: list[str]) -> list[str]:
    """Return the words starting with the program's plain name; [] without a program."""
    for index, word in enumerate(words):
        if word not in _LISTS["shell_words"] and not _ASSIGNMENT.match(word):
            return [_program(word), *words[index + 1 :]]
    return []


def _program(word: str) -> str:
    """Return `eslint` for `node_modules/.bin/eslint@9`, `python` for `python3.11`."""
    name = word.rpartition("/")[2]
    version = name.find("@", 1)
    name = name[:version] if version > 0 else name
    return "python" if _PYTHON.fullmatch(name) else name


def _asks_for_help(words: list[str]) -> bool:
    before_dashes = words[: words.index("--")] if "--" in words else words
    return "--version" in before_dashes or "--help" in before_dashes


def _after_option(words: list[str], pattern: str) -> list[str] | None:
    """Return the words after an option: `pytest tests` for `python -X dev -m pytest tests`. None without the option."""
    index = 1
    while index < len(words) and words[index].startswith("-"):
        if re.fullmatch(pattern, words[index]):
            return words[index + 1 :]
        index += _option_length(words, index)
    return None


def _option_length(words: list[str], index: int) -> int:
    """Return 2 for an option with a value (step 3), else 1."""
    return 2 if words[index] in _OPTIONS_WITH_VALUE.get(words[0], ()) else 1


def _skip_options(words: list[str], index: int) -> int:
    while index < len(words) and words[index].startswith("-"):
        index += _option_length(words, index)
    return index


def _after_name(words: list[str], name: list[str]) -> int | None:
    """Return the index after a name, or None. Options can follow each of its words."""
    index = _skip_options(words, 1)
    for word in name[1:]:
        if index >= len(words) or words[index] != word:
            return None
        index = _skip_options(words, index + 1)
    return index


def _runner_kind(words: list[str]) -> str | None:
    for name, all_arguments in _RUNNERS.get(words[0], ()):
        start = _after_name(words, name)
        if start is not None:
            targets = _targets(words, start)
            return _targets_kind(list(targets) if all_arguments else _first_target(targets), name)
    return None


def _targets(words: list[str], start: int) -> Iterator[str]:
    """Yield the words that are not options, option values, assignments or numbers."""
    index = start
    while index < len(words):
        word = words[index]
        if word.startswith("-"):
            index += _option_length(words, index)
            continue
        if not _ASSIGNMENT.match(word) and not (word.isascii() and word.isdigit()):
            yield word
        index += 1


def _first_target(targets: Iterator[str]) -> list[str]:
    """Return the first target after `workspace NAME` and `run`, if any."""
    first = list(islice(targets, 4))
    if first[:1] == ["workspace"]:
        first = first[2:]
    if first and first[0] in ("run", "run-script", "r"):
        first = first[1:]
    return first[:1]


def _targets_kind(targets: list[str], runner: list[str]) -> str | None:
    if not targets:
        return _LISTS["runners"]["bare"].get(" ".join(runner))
    text = _CAMEL_CASE.sub(" ", " ".join(targets))
    words = {word.lower() for word in _TARGET_WORD.findall(text)}
    return next((kind for kind in KINDS if not words.isdisjoint(_TARGET_WORDS[kind])), None)


def _tool_kind(words: list[str]) -> str | None:
    """Match the part as is, then without the program's options (`go -C dir test`)."""
    match = _TOOLS.match(_join(words))
    if match is None and len(words) > 1 and words[1].startswith("-"):
        match = _TOOLS.match(_join([words[0], *words[_skip_options(words, 1) :]]))
    return match.lastgroup.partition("_")[0] if match and match.lastgroup else None


def _join(words: list[str]) -> str:
    """Join words with spaces. Words that are empty, too long or contain whitespace become ''."""
    quoted = (word if len(word) <= MAX_WORD_CHARACTERS and word.split() == [word] else "''" for word in words)
    return " ".join(quoted)[:MAX_PART_CHARACTERS]


def _without_prefix(words: list[str]) -> list[str]:
    """Return the command after a prefix such as `sudo -u bob`; [] without a prefix."""
    for name, takes_argument in _PREFIXES.get(words[0], ()):
        index = _after_name(words, name)
        if index is not None:
            return words[index + takes_argument :]
    return []
