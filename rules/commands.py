"""Which commands verify something (metrics.md "How a command is read"; its lists are verifications.json)."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rules import shell

KINDS = ("test", "check", "build")  # in the order in which one goes before another

# Bounds for hostile input; no real command comes near them. Patterns see a part's first 16 KiB and no word of
# more than 256 characters (some take quadratic time within a word), and a part is read 16 times at most,
# however many prefixes it begins with. With the bounds of rules/shell.py any text takes well under a second.
# Texts of `bash -c` need no bound of their own: they are taken one by one from a list, not by recursion, and
# quoting a text within a text makes it grow so fast that 256 KiB hold a dozen levels.
LONGEST_WORD = 256
MOST_WRITTEN = 16 * 1024
MOST_READINGS = 16

_LISTS = json.loads(Path(__file__).with_name("verifications.json").read_text(encoding="utf-8"))
_SHELL_WORDS = frozenset(_LISTS["shell_words"])
_WITH_VALUE = {program: frozenset(options) for program, options in _LISTS["options_with_value"].items()}
_BARE = _LISTS["runners"]["bare"]
_KIND_WORDS = [(kind, frozenset(_LISTS["runners"]["words"][kind])) for kind in KINDS]
# Every pattern begins with `^`: the alternatives are tried at the beginning only, in the order of the list.
_TOOLS = re.compile(
    "|".join(f"(?P<{tool['kind']}_{n}>{tool['pattern']})" for n, tool in enumerate(_LISTS["tools"]))
)

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_PYTHON = re.compile(r"python[\d.]*", re.ASCII)
_SHELLS = ("bash", "sh", "zsh")
_READS_TEXT = re.compile(r"-[a-z]*c")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TARGET_WORD = re.compile(r"[A-Za-z0-9]+")
_WHITE_SPACE = re.compile(r"\s")


def _by_first_word(names: dict[str, bool]) -> dict[str, list[tuple[list[str], bool]]]:
    """Names of one or more words by the first one, those of most words first, each with what it is given."""
    table: dict[str, list[tuple[list[str], bool]]] = {}
    for name, given in sorted(names.items(), key=lambda item: -len(item[0].split())):
        table.setdefault(name.split()[0], []).append((name.split(), given))
    return table


# With True the runners of `all_arguments`, and the prefixes that take an argument.
_RUNNERS = _by_first_word(
    {
        name: key == "all_arguments"
        for key in ("all_arguments", "first_argument")
        for name in _LISTS["runners"][key]
    }
)
_PREFIXES = _by_first_word(
    {name: key != "prefixes" for key in ("prefixes", "prefixes_with_argument") for name in _LISTS[key]}
)


def kind_of(command: str) -> str | None:
    """'test', 'check' or 'build' for a command that verifies something, else None; any text will do."""
    texts, found = [command], set()
    while texts and "test" not in found:
        for words in shell.parts(texts.pop()):
            found.add(_kind_of_part(words, texts))
    return next((kind for kind in KINDS if kind in found), None)


def _kind_of_part(words: list[str], texts: list[str]) -> str | None:
    """Steps 4 to 6 for one part. A text given to a shell is put on `texts`, where it decides for itself."""
    for _ in range(MOST_READINGS):
        words = _with_program_first(words)
        if not words or _asks_for_help(words):
            return None
        module = _python_module(words)
        if module is not None:
            words = module
            continue
        text = _shell_text(words)
        if text is not None:
            texts.append(text)
            return None
        kind = _runner_kind(words) or _tool_kind(words)
        if kind is not None:
            return kind
        words = _without_prefix(words)
    return None


def _with_program_first(words: list[str]) -> list[str]:
    """The words from the program on, which stands there by its plain name; none at all without a program."""
    for index, word in enumerate(words):
        if word not in _SHELL_WORDS and not _ASSIGNMENT.match(word):
            return [_program(word), *words[index + 1 :]]
    return []


def _program(word: str) -> str:
    """`node_modules/.bin/eslint@9` is eslint, `python3.11` is python."""
    name = word.rpartition("/")[2]
    version = name.find("@", 1)
    name = name[:version] if version > 0 else name
    return "python" if _PYTHON.fullmatch(name) else name


def _asks_for_help(words: list[str]) -> bool:
    own = words[: words.index("--")] if "--" in words else words
    return "--version" in own or "--help" in own


def _python_module(words: list[str]) -> list[str] | None:
    """`python -X dev -m pytest tests` as `pytest tests`; None for everything else."""
    if words[0] != "python":
        return None
    for index in _options(words, 1):
        if words[index] == "-m":
            return words[index + 1 :] or None
    return None


def _shell_text(words: list[str]) -> str | None:
    """What `bash -lc TEXT` runs; None for everything else."""
    if words[0] not in _SHELLS:
        return None
    for index in _options(words, 1):
        if _READS_TEXT.fullmatch(words[index]):
            return words[index + 1] if index + 1 < len(words) else ""
    return None


def _options(words: list[str], start: int) -> Iterator[int]:
    """The places of the options that follow one another from `start` on; values are passed over (step 3)."""
    with_value = _WITH_VALUE.get(words[0], ())
    index = start
    while index < len(words) and words[index].startswith("-"):
        yield index
        index += 2 if words[index] in with_value else 1


def _after_options(words: list[str], start: int) -> int:
    with_value = _WITH_VALUE.get(words[0], ())
    last = start
    for index in _options(words, start):
        last = index + (2 if words[index] in with_value else 1)
    return last


def _after_name(words: list[str], name: list[str]) -> int | None:
    """Where the words go on after a name like `docker compose run`; options may follow each of its words."""
    index = _after_options(words, 1)
    for word in name[1:]:
        if index >= len(words) or words[index] != word:
            return None
        index = _after_options(words, index + 1)
    return index


def _runner_kind(words: list[str]) -> str | None:
    for name, all_arguments in _RUNNERS.get(words[0], ()):
        start = _after_name(words, name)
        if start is not None:
            targets = _targets(words, start)
            return _targets_kind(list(targets) if all_arguments else _first_target(targets), name)
    return None


def _targets(words: list[str], start: int) -> Iterator[str]:
    """The words that are no option, no option's value, no assignment and not digits alone."""
    with_value = _WITH_VALUE.get(words[0], ())
    index = start
    while index < len(words):
        word = words[index]
        if word.startswith("-"):
            index += 1 if word in with_value else 0
        elif not _ASSIGNMENT.match(word) and not (word.isascii() and word.isdigit()):
            yield word
        index += 1


def _first_target(targets: Iterator[str]) -> list[str]:
    """The first target after `workspace NAME` and `run`, alone in a list, or an empty one."""
    first = list(islice(targets, 4))
    if first[:1] == ["workspace"]:
        first = first[2:]
    if first and first[0] in ("run", "run-script", "r"):
        first = first[1:]
    return first[:1]


def _targets_kind(targets: list[str], runner: list[str]) -> str | None:
    if not targets:
        return _BARE.get(" ".join(runner))
    words = {word.lower() for target in targets for word in _TARGET_WORD.findall(_CAMEL.sub(" ", target))}
    return next((kind for kind, names in _KIND_WORDS if not names.isdisjoint(words)), None)


def _tool_kind(words: list[str]) -> str | None:
    """The tool as it stands, then without the options right after the program (`go -C dir test`)."""
    match = _TOOLS.match(_written(words))
    if match is None and len(words) > 1 and words[1].startswith("-"):
        match = _TOOLS.match(_written([words[0], *words[_after_options(words, 1) :]]))
    return match.lastgroup.partition("_")[0] if match and match.lastgroup else None


def _written(words: list[str]) -> str:
    return " ".join(map(_written_word, words))[:MOST_WRITTEN]


def _written_word(word: str) -> str:
    return word if word and len(word) <= LONGEST_WORD and not _WHITE_SPACE.search(word) else "''"


def _without_prefix(words: list[str]) -> list[str]:
    """What `sudo -u bob` or `docker compose exec web` runs; nothing for a part without such a prefix."""
    for name, takes_argument in _PREFIXES.get(words[0], ()):
        index = _after_name(words, name)
        if index is not None:
            return words[index + takes_argument :]
    return []
