"""Split a command into parts and words (steps 1 and 2 of rules/metrics/command-recognition.md)."""

import re
from bisect import bisect_left
from collections import defaultdict

# Limits for hostile input. Linux passes at most 128 KiB to a shell as one argument.
MAX_CHARACTERS_WITH_HERE_DOCUMENTS = 1024 * 1024
MAX_CHARACTERS = 256 * 1024
MAX_PARTS = 2_000

_WORD = r"[^\W\d]\w*"
_HERE_DOCUMENT = re.compile(rf"""(?<!<)<<(?!<)-?[ \t]*(?:'({_WORD})'|"({_WORD})"|\\?({_WORD}))""")
_TOKEN = re.compile(
    r"""
      (?P<plain> [^\s'"\\&|;()`$<>#]+ )
    | ' (?P<single> [^']*+ ) '?
    | " (?P<double> (?: [^"\\]++ | \\.?+ )*+ ) "?
    | \\ (?P<escaped> .?+ )
    | (?P<redirection> &>>? | >[>|&]? | <<< | <<-? | <[&>]? )
    | (?P<separator> && | \|\| | \$\( | [;|&()`\n] )
    | (?P<blank> [^\S\n]+ )
    | (?P<comment> \# )
    | (?P<dollar> \$ )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED_IN_DOUBLE = re.compile(r"""\\(["\\$`\n])""")


def split_parts(text: str) -> list[list[str]]:
    """Split a command into nonempty parts, each a list of words."""
    text = _without_here_documents(text[:MAX_CHARACTERS_WITH_HERE_DOCUMENTS])
    return _Parser(text[:MAX_CHARACTERS]).parse()


def _without_here_documents(text: str) -> str:
    if "<<" not in text:
        return text
    lines = text.split("\n")
    # Index the lines: searching for the end of each of thousands of here-documents would take quadratic time.
    numbers = defaultdict(list)
    for number, line in enumerate(lines):
        numbers[line.strip()].append(number)
    remaining, number = [], 0
    while number < len(lines):
        remaining.append(lines[number])
        number = _after_here_documents(lines[number], number + 1, numbers)
    return "\n".join(remaining)


def _after_here_documents(line: str, number: int, numbers: dict[str, list[int]]) -> int:
    """Return the number of the line after the here-documents opened in `line`, which start at `number`."""
    for opening in _HERE_DOCUMENT.finditer(line):
        ends = numbers.get(opening[opening.lastindex or 0], [])
        index = bisect_left(ends, number)
        if index < len(ends):
            number = ends[index] + 1
    return number


class _Parser:
    """Parses text from left to right. `word` contains the pieces of the current word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[list[str]] = []
        self.words: list[str] = []
        self.word: list[str] | None = None
        self.drops_next = False  # the word after a redirection

    def parse(self) -> list[list[str]]:
        position = 0
        while position < len(self.text) and len(self.parts) < MAX_PARTS:
            token = _TOKEN.match(self.text, position)
            assert token is not None, "every character starts a token"
            position = self._consume(token)
        self._end_part()
        return self.parts

    def _consume(self, token: re.Match[str]) -> int:
        """Process a token. Returns the position of the next token."""
        kind, piece = token.lastgroup, token[token.lastgroup or 0]
        if kind == "comment" and self.word is None:
            end = self.text.find("\n", token.end())
            return end if end >= 0 else len(self.text)
        if kind == "blank":
            self._end_word()
        elif kind == "separator":
            self._end_part()
        elif kind == "redirection":
            self._redirect()
        elif kind == "double":
            self._append(_ESCAPED_IN_DOUBLE.sub(lambda match: match[1].strip("\n"), piece))
        elif kind != "escaped" or piece not in ("", "\n"):
            self._append(piece)
        return token.end()

    def _append(self, piece: str) -> None:
        if self.word is None:
            self.word = []
        self.word.append(piece)

    def _redirect(self) -> None:
        number = "".join(self.word or ())
        if number.isascii() and number.isdigit():
            self.word = None  # the 2 of `2>file`
        self._end_word()
        self.drops_next = True

    def _end_word(self) -> None:
        if self.word is None:
            return
        if not self.drops_next:
            self.words.append("".join(self.word))
        self.word, self.drops_next = None, False

    def _end_part(self) -> None:
        self._end_word()
        self.drops_next = False
        if self.words:
            self.parts.append(self.words)
            self.words = []
