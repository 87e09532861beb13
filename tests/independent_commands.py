"""A second implementation of docs/metrics.md#how-a-command-is-read.

It shares nothing with `rules` but the lists, `verifications.json`: tests compare the two.
"""

import json
import re
from pathlib import Path

LISTS = json.loads((Path(__file__).parents[1] / "rules" / "verifications.json").read_text())

OPTIONS_WITH_VALUE = {
    program: options.split()
    for programs, options in LISTS["options_with_value"].items()
    for program in programs.split()
}
KINDS_BY_RANK = ("test", "check", "build")

# WORD may have any letters: where the definition means ASCII, it says so.
HERE_DOCUMENT = re.compile(
    r"""(?<!<)<<(?!<)-?[ \t]*(?: \\?(?P<plain>[^\W\d]\w*)
                               | '(?P<single>[^\W\d]\w*)'
                               | "(?P<double>[^\W\d]\w*)" )""",
    re.VERBOSE,
)

# Tried first, and only at the start of a word (`Parts.read_token`).
COMMENT = re.compile(r"#[^\n]*")
TOKEN = re.compile(
    r"""(?P<joined_lines> \\\n )
      | (?P<escaped>      \\ .? )
      | (?P<single>       ' [^']* (?: ' | \Z ) )
      | (?P<double>       " (?: \\. | [^"\\] )* (?: " | \\? \Z ) )
      | (?P<redirection>  <<< | <<- | << | <& | <> | < | &>> | &> | >> | >\| | >& | > )
      | (?P<cut>          && | \|\| | \$\( | [;|&()`\n] )
      | (?P<blank>        \s )
      | (?P<plain>        . )""",
    re.VERBOSE | re.DOTALL,
)
DOUBLE_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)
ESCAPED_IN_DOUBLE_QUOTES = re.compile(r'\\(["\\$`\n])')

ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
DIGITS = re.compile(r"[0-9]+")
SHELLS = ("bash", "sh", "zsh")
SHELL_SCRIPT_OPTION = re.compile(r"-[a-z]*c")


def command_kind(command: object) -> str | None:
    """`test`, `check` or `build`; None for a command that verifies nothing."""
    if not isinstance(command, str):
        return None
    return first_in_rank({part_kind(words) for words in parts_of(without_here_documents(command))})


def first_in_rank(kinds: set) -> str | None:
    """Step 7."""
    return next((kind for kind in KINDS_BY_RANK if kind in kinds), None)


# Step 1: here-documents


def without_here_documents(text: str) -> str:
    """The text without the lines of its here-documents; without an end there is none."""
    lines = text.split("\n")
    kept = []
    while lines:
        line = lines.pop(0)
        kept.append(line)
        for match in HERE_DOCUMENT.finditer(line):
            word = match["plain"] or match["single"] or match["double"]
            stripped = [following.strip() for following in lines]
            if word in stripped:
                del lines[: stripped.index(word) + 1]
    return "\n".join(kept)


# Step 2: words and parts


def parts_of(text: str) -> list[list[str]]:
    """The nonempty parts, each with its words, without quotes and redirections."""
    parts = Parts()
    parts.read(text)
    return [words for words in parts.finished if words]


class Parts:
    """The state of parsing from left to right."""

    def __init__(self) -> None:
        self.finished: list[list[str]] = []
        self.words: list[str] = []
        self.word: str | None = None
        self.next_word_is_file = False

    def read(self, text: str) -> None:
        position = 0
        while position < len(text):
            position = self.read_token(text, position)
        self.end_part()

    def read_token(self, text: str, position: int) -> int:
        comment = COMMENT.match(text, position) if self.word is None else None
        if comment:
            return comment.end()
        token = TOKEN.match(text, position)
        assert token is not None, "TOKEN has an alternative for every character"
        self.add_token(token.lastgroup or "", token.group())
        return token.end()

    def add_token(self, group: str, token: str) -> None:
        if group == "cut":
            self.end_part()
        elif group == "blank":
            self.end_word()
        elif group == "redirection":
            self.start_redirection()
        elif group != "joined_lines" and token != "\\":  # a backslash with nothing after it is nothing
            self.word = (self.word or "") + unquoted(group, token)

    def start_redirection(self) -> None:
        if self.word is not None and DIGITS.fullmatch(self.word):
            self.word = None
        self.end_word()
        self.next_word_is_file = True

    def end_word(self) -> None:
        if self.word is None:
            return
        if not self.next_word_is_file:
            self.words.append(self.word)
        self.word, self.next_word_is_file = None, False

    def end_part(self) -> None:
        self.end_word()
        self.finished.append(self.words)
        self.words, self.next_word_is_file = [], False


def unquoted(group: str, token: str) -> str:
    if group == "escaped":
        return token[1:]
    if group == "single":
        return token[1:].removesuffix("'")
    if group == "double":
        inner = token[1:-1] if DOUBLE_QUOTED.fullmatch(token) else token[1:]
        return ESCAPED_IN_DOUBLE_QUOTES.sub(lambda match: match[1].strip("\n"), inner)
    return token


# Steps 3 and 4: options and the program


def part_kind(words: list[str]) -> str | None:
    while words := without_front(words, LISTS["shell_words"]):
        if asks_about_the_program(words):
            return None
        program = program_name(words[0])
        words = [program, *words[1:]]
        if program == "python" and (module := words_from_module(words)):
            words = module
            continue
        if program in SHELLS and (script := script_of_shell(words)) is not None:
            return command_kind(script)
        kind = runner_kind(words) or tool_kind(words)
        if kind:
            return kind
        words = without_prefix(words)
    return None


def asks_about_the_program(words: list[str]) -> bool:
    before_dashes = words[: words.index("--")] if "--" in words else words
    return "--version" in before_dashes or "--help" in before_dashes


def without_front(words: list[str], shell_words: list[str]) -> list[str]:
    count = 0
    while count < len(words) and (words[count] in shell_words or ASSIGNMENT.match(words[count])):
        count += 1
    return words[count:]


def program_name(word: str) -> str:
    name = word.rsplit("/", 1)[-1]
    at = name.find("@", 1)
    if at > 0:
        name = name[:at]
    return "python" if re.fullmatch(r"python[0-9.]*", name) else name


def option_length(words: list[str], program: str) -> int:
    """The number of words of the option at the front: 0 for none, 2 with a value."""
    if not words or not words[0].startswith("-"):
        return 0
    return 2 if words[0] in OPTIONS_WITH_VALUE.get(program, ()) else 1


def without_options(words: list[str], program: str) -> list[str]:
    while length := option_length(words, program):
        words = words[length:]
    return words


def words_from_module(words: list[str]) -> list[str]:
    """`pytest -q` for `python -W error -m pytest -q`; [] without a module."""
    rest = words[1:]
    while length := option_length(rest, "python"):
        if rest[0] == "-m":
            return rest[1:]
        rest = rest[length:]
    return []


def script_of_shell(words: list[str]) -> str | None:
    """The argument of a shell's `-c`."""
    shell, rest = words[0], words[1:]
    while length := option_length(rest, shell):
        if SHELL_SCRIPT_OPTION.fullmatch(rest[0]):
            return rest[1] if len(rest) > 1 else None
        rest = rest[length:]
    return None


# Step 5: runners and tools


def runner_kind(words: list[str]) -> str | None:
    runners, program = LISTS["runners"], words[0]
    if program in runners["all_arguments"]:
        targets = arguments(words[1:], program)
    elif length := first_argument_runner_length(words, runners["first_argument"]):
        targets = first_target(arguments(words[length:], program))
    else:
        return None
    if not targets:
        return runners["bare"].get(program)
    return kind_of_targets(targets, runners["words"])


def first_argument_runner_length(words: list[str], runners: list[str]) -> int:
    """The number of words of the runner at the front (`deno task` has two)."""
    return next((len(names) for names in map(str.split, runners) if words[: len(names)] == names), 0)


def arguments(words: list[str], program: str) -> list[str]:
    targets = []
    while words:
        length = option_length(words, program)
        if not length and not ASSIGNMENT.match(words[0]) and not DIGITS.fullmatch(words[0]):
            targets.append(words[0])
        words = words[length or 1 :]
    return targets


def first_target(candidates: list[str]) -> list[str]:
    if candidates[:1] == ["workspace"]:
        candidates = candidates[2:]
    if candidates and candidates[0] in ("run", "run-script", "r"):
        candidates = candidates[1:]
    return candidates[:1]


def kind_of_targets(targets: list[str], words_of_kind: dict) -> str | None:
    words = {word for target in targets for word in target_words(target)}
    return first_in_rank({kind for kind, names in words_of_kind.items() if words & set(names)})


def target_words(target: str) -> list[str]:
    cut_at_capitals = re.sub(r"([a-z])(?=[A-Z])", r"\1 ", target)
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", cut_at_capitals)]


def tool_kind(words: list[str]) -> str | None:
    bare_words = [words[0], *without_options(words[1:], words[0])]
    for line in (line_of(words), line_of(bare_words)):
        for tool in LISTS["tools"]:
            if re.search(tool["pattern"], line):
                return tool["kind"]
    return None


def line_of(words: list[str]) -> str:
    return " ".join("''" if not word or re.search(r"\s", word) else word for word in words)


# Step 6: prefixes


def without_prefix(words: list[str]) -> list[str]:
    """The words after the longest prefix; [] without one."""
    matches = []
    for prefix in [*LISTS["prefixes"], *LISTS["prefixes_with_argument"]]:
        rest = words_after(prefix.split(), words)
        if rest is not None:
            skipped = 1 if prefix in LISTS["prefixes_with_argument"] else 0
            matches.append((len(prefix.split()), rest[skipped:]))
    return max(matches, key=lambda match: match[0])[1] if matches else []


def words_after(prefix: list[str], words: list[str]) -> list[str] | None:
    program, rest = words[0], words
    for name in prefix:
        if rest[:1] != [name]:
            return None
        rest = without_options(rest[1:], program)
    return rest
