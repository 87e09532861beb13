"""The content of files, as far as a conversation shows it: the base for diffs of an agent's edits."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# Maximum number of replayed edits since a file was last read or written; beyond that its content is unknown.
MAX_REPLAYED_EDITS = 500
# A longer file is not tracked: replacing each occurrence can turn a short text into one of any length.
MAX_FILE_CHARACTERS = 2_000_000
_DOUBLE_QUOTES = "\u201c\u201d"
_SINGLE_QUOTES = "\u2018\u2019"
_STRAIGHT = str.maketrans(_DOUBLE_QUOTES + _SINGLE_QUOTES, "\"\"''")
# Before a quote that opens a quotation.
_OPENING = " \t\n\r([{\u2014\u2013"
# A line as `cat -n` and Claude Code's Read show it: the number, and a tab or an arrow.
_NUMBERED = re.compile(r" *(\d{1,9})(\t|→)")


class FileText(NamedTuple):
    """A file's text, or its lines from `first_line` on.

    has_end -- whether the text ends where the file ends
    """

    text: str
    first_line: int = 1
    has_end: bool = True

    @property
    def is_whole(self) -> bool:
        return self.first_line == 1 and self.has_end


@dataclass(frozen=True)
class Shown:
    """A file was read or written."""

    path: str
    content: FileText


@dataclass(frozen=True)
class Edited:
    """A text in a file was replaced: the only occurrence, or each.

    removes_line_end -- whether an empty `new` also removes the line end after `old`
    ignores_quotes -- whether straight quotes in `old` also match typographic ones, which `new` then gets too
    """

    path: str
    old: str
    new: str
    is_each: bool = False
    removes_line_end: bool = False
    ignores_quotes: bool = False


@dataclass(frozen=True)
class Rewritten:
    """A file was changed by a function of its whole text, which returns None if the text is not as expected."""

    path: str
    change: Callable[[str], str | None]


@dataclass(frozen=True)
class Lost:
    """A file was changed in a way that the conversation does not show."""

    path: str


Touch = Shown | Edited | Rewritten | Lost


def _unknown(path: str) -> FileText | None:
    return None


def no_limit() -> bool:
    """Return True: there is no time limit."""
    return True


def _no_calls() -> Iterator[Any]:
    return iter(())


class Workspace(NamedTuple):
    """The agent's files before one of its calls, as far as the conversation shows them.

    directory -- the working directory; None if it is unknown
    content -- returns a file's content, None if it is unknown
    earlier -- returns the outcomes of earlier calls, latest first
    """

    directory: str | None = None
    content: Callable[[str], FileText | None] = _unknown
    earlier: Callable[[], Iterator[Any]] = _no_calls

    def relative(self, path: str) -> str:
        """The path relative to the working directory, if the file is in it."""
        return path.removeprefix(self.directory.rstrip("/") + "/") if self.directory else path


def replay(touches: Sequence[Touch], has_time: Callable[[], bool] = no_limit) -> FileText | None:
    """A file's content after these touches of it, oldest first; None if it is unknown, or if there is no time left."""
    start = next(_starts(touches), None)
    if start is None or len(touches) - start > MAX_REPLAYED_EDITS:
        return None
    content = _replay_from(touches, start, has_time)
    if content is not None and not content.is_whole:
        return _whole(touches[:start], touches[start:], has_time) or content
    return content


def _starts(touches: Sequence[Touch]) -> Iterator[int]:
    """The positions where the content was shown since it was lost, latest first."""
    for position in range(len(touches) - 1, -1, -1):
        if isinstance(touches[position], Lost):
            return
        if isinstance(touches[position], Shown):
            yield position


def _whole(before: Sequence[Touch], since: Sequence[Touch], has_time: Callable[[], bool]) -> FileText | None:
    """The whole content, if it was shown before a part."""
    touches = [*before, *since]
    for start in _starts(before):
        if touches[start].content.is_whole:  # type: ignore[union-attr]
            return _replay_from(touches, start, has_time)
    return None


def _replay_from(touches: Sequence[Touch], start: int, has_time: Callable[[], bool]) -> FileText | None:
    content: FileText | None = None
    for touch in touches[start:]:
        if not has_time():
            return None
        if isinstance(touch, Edited):
            content = content and edit(content, touch)
        elif isinstance(touch, Rewritten):
            content = content and _rewritten(content, touch)
        elif isinstance(touch, Shown):
            content = _agreeing(content, touch.content) if content else touch.content
    return content


def _rewritten(content: FileText, touch: Rewritten) -> FileText | None:
    text = touch.change(content.text) if content.is_whole else None
    return None if text is None else FileText(text)


def _agreeing(known: FileText, shown: FileText) -> FileText | None:
    """The known content if it contains the shown lines, else the shown content."""
    if shown.is_whole or not known.is_whole:
        return shown
    lines, first = known.text.split("\n"), shown.first_line - 1
    some = shown.text.removesuffix("\n").split("\n")
    return known if [line.rstrip("\r") for line in lines[first : first + len(some)]] == some else shown


def edit(content: FileText, change: Edited) -> FileText | None:
    """The content after an edit; None if it does not show where the edit was, or if it is too long."""
    has_crlf = "\r\n" in content.text
    text, old, new = content.text, change.old, change.new
    if has_crlf:
        text, old, new = (each.replace("\r\n", "\n") for each in (text, old, new))
    if old not in text and change.ignores_quotes:
        old, new = _in_style_of(text, old, new)
    if change.removes_line_end and not new and not old.endswith("\n") and f"{old}\n" in text:
        old += "\n"
    count = text.count(old) if old else 0
    if not count or (change.is_each and not content.is_whole) or (count > 1 and not change.is_each):
        return None
    if len(text) + count * (len(new) - len(old)) > MAX_FILE_CHARACTERS:
        return None
    text = text.replace(old, new)
    return content._replace(text=text.replace("\n", "\r\n") if has_crlf else text)


def _in_style_of(text: str, old: str, new: str) -> tuple[str, str]:
    """The texts with the typographic quotes of the file, where `old` has straight ones."""
    start = text.translate(_STRAIGHT).find(old.translate(_STRAIGHT))
    if start < 0:
        return old, new
    actual = text[start : start + len(old)]
    for straight, typographic in (('"', _DOUBLE_QUOTES), ("'", _SINGLE_QUOTES)):
        if any(quote in actual for quote in typographic):
            new = "".join(_quotes(new, straight, typographic))
    return actual, new


def _quotes(text: str, straight: str, typographic: str) -> Iterator[str]:
    """The characters of a text, with typographic quotes."""
    opening, closing = typographic[0], typographic[1]
    before = " "
    for character in text:
        quote = opening if before in _OPENING else closing
        yield quote if character == straight else character
        before = character


def read_numbered_lines(text: str, *, limit: int | None = None, is_cut: bool = False) -> FileText | None:
    """The file's lines in a text that starts with them, each after its number; None if there are none.

    After tabs, an empty last line represents the line end of the previous one. After arrows it does not show whether
    the file ends with a line end; most files do.

    limit -- the maximum number of lines, if there is one
    is_cut -- whether there are more lines
    """
    lines = list(_numbered_lines(text))
    if not lines:
        return None
    first, separator, _ = lines[0]
    shown = "\n".join(line for _, _, line in lines)
    has_end = not is_cut and (limit is None or len(lines) < limit)
    is_exact = separator == "\t" and (has_end or not lines[-1][2])
    return FileText(shown if is_exact else shown + "\n", first, has_end)


def _numbered_lines(text: str) -> Iterator[tuple[int, str, str]]:
    expected: int | None = None
    for line in text.split("\n"):
        match = _NUMBERED.match(line)
        number = int(match[1]) if match else None
        if match is None or number is None or number != (expected or number):
            return
        yield number, match[2], line[match.end() :]
        expected = number + 1
