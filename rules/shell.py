"""A command's text becomes parts, and parts become words (metrics.md "How a command is read", 1 and 2)."""

import re
from bisect import bisect_left
from collections import defaultdict

# Candidates send what they like, and a session is read in one go. Real commands stay far below both bounds: a
# shell is handed at most 128 KiB as one argument on Linux, and nobody chains 2,000 commands.
MOST_TEXT = 256 * 1024
MOST_PARTS = 2_000

_WORD = r"[^\W\d]\w*"
_HERE_DOCUMENT = re.compile(rf"""(?<!<)<<(?!<)-?[ \t]*(?:'({_WORD})'|"({_WORD})"|\\?({_WORD}))""")
_TOKEN = re.compile(
    r"""
      (?P<plain> [^\s'"\\&|;()`$<>#]+ )
    | ' (?P<single> [^']*+ ) '?
    | " (?P<double> (?: [^"\\]++ | \\.?+ )*+ ) "?
    | \\ (?P<escaped> .?+ )
    | (?P<redirection> &>>? | >[>|&]? | <<< | <<-? | <[&>]? )
    | (?P<cut> && | \|\| | \$\( | [;|&()`\n] )
    | (?P<blank> [^\S\n]+ )
    | (?P<comment> \# )
    | (?P<dollar> \$ )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED_IN_DOUBLE = re.compile(r"""\\(["\\$`\n])""")


def parts(text: str) -> list[list[str]]:
    """The commands of a text, each a list of its words; a part without a word is left out."""
    return _Reader(_without_here_documents(text)[:MOST_TEXT]).read()


def _without_here_documents(text: str) -> str:
    if "<<" not in text:
        return text
    lines = text.split("\n")
    # Where each line's text stands, so that an end is looked up and not searched for: thousands of openings
    # without an end would cost thousands of passes.
    places = defaultdict(list)
    for number, line in enumerate(lines):
        places[line.strip()].append(number)
    kept, number = [], 0
    while number < len(lines):
        kept.append(lines[number])
        number = _after_here_documents(lines[number], number + 1, places)
    return "\n".join(kept)


def _after_here_documents(line: str, number: int, places: dict[str, list[int]]) -> int:
    """The line at which reading goes on after `line`, whose here-documents would begin at line `number`."""
    for opening in _HERE_DOCUMENT.finditer(line):
        ends = places.get(opening[opening.lastindex or 0], [])
        at = bisect_left(ends, number)
        if at < len(ends):
            number = ends[at] + 1
    return number


class _Reader:
    """Reads a text once, left to right; `word` collects the pieces of the word that has begun, or is None."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[list[str]] = []
        self.words: list[str] = []
        self.word: list[str] | None = None
        self.drops_next = False  # the word that follows a redirection

    def read(self) -> list[list[str]]:
        position = 0
        while position < len(self.text) and len(self.parts) < MOST_PARTS:
            token = _TOKEN.match(self.text, position)
            assert token is not None, "every character begins a token"
            position = self._take(token)
        self._end_part()
        return self.parts

    def _take(self, token: re.Match[str]) -> int:
        """Take one token in; where to read on."""
        kind, piece = token.lastgroup, token[token.lastgroup or 0]
        if kind == "comment" and self.word is None:
            end = self.text.find("\n", token.end())
            return end if end >= 0 else len(self.text)
        if kind == "blank":
            self._end_word()
        elif kind == "cut":
            self._end_part()
        elif kind == "redirection":
            self._redirect()
        elif kind == "double":
            self._add(_ESCAPED_IN_DOUBLE.sub(lambda match: match[1].strip("\n"), piece))
        elif kind != "escaped" or piece not in ("", "\n"):
            self._add(piece)
        return token.end()

    def _add(self, piece: str) -> None:
        if self.word is None:
            self.word = []
        self.word.append(piece)

    def _redirect(self) -> None:
        if self.word is not None and _is_number("".join(self.word)):
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


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()
