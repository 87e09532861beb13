"""Known file contents, the base for diffs of an agent's edits."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# Edits since a file was last read or written. After more edits, its content is unknown.
MAX_REPLAYED_EDITS = 500
# Longer files are not tracked: replacing all occurrences can make a short file arbitrarily long.
MAX_FILE_CHARACTERS = 2_000_000
_DOUBLE_QUOTES = "\u201c\u201d"
_SINGLE_QUOTES = "\u2018\u2019"
_STRAIGHT = str.maketrans(_DOUBLE_QUOTES + _SINGLE_QUOTES, "\"\"''")
# Characters that can precede an opening quote.
_BEFORE_OPENING = " \t\n\r([{\u2014\u2013"
# A line as printed by `cat -n` or Claude Code's Read: the number, then a tab or an arrow.
_NUMBERED = re.compile(r" *(\d{1,9})(\t|→)")


class FileText(NamedTuple):
    """A file's content: all of it, or a part that starts at `first_line`.

    has_end -- whether the text includes the end of the file
    """

    text: str
    first_line: int = 1
    has_end: bool = True

    @property
    def is_whole(self) -> bool:
        return self.first_line == 1 and self.has_end


@dataclass(frozen=True)
class Snapshot:
    """A file was read or written."""

    path: str
    content: FileText


@dataclass(frozen=True)
class Edit:
    """A string in a file was replaced: its only occurrence, or all occurrences.

    removes_newline -- whether an empty `new` also removes the newline after `old`
    ignores_quotes -- whether straight quotes in `old` match typographic quotes, which are then also used in `new`
    """

    path: str
    old: str
    new: str
    replaces_all: bool = False
    removes_newline: bool = False
    ignores_quotes: bool = False


@dataclass(frozen=True)
class Rewrite:
    """A file's content was changed by a function, which returns None for unexpected content."""

    path: str
    change: Callable[[str], str | None]


@dataclass(frozen=True)
class Invalidation:
    """A file was changed in a way that is not visible in the conversation."""

    path: str


FileUpdate = Snapshot | Edit | Rewrite | Invalidation


class Workspace(NamedTuple):
    """The agent's files before a tool call.

    directory -- working directory; None if unknown
    content -- returns a file's content; None if unknown
    earlier -- returns the outcomes of earlier calls, latest first
    has_time -- returns whether there is time left to read the call
    """

    directory: str | None = None
    content: Callable[[str], FileText | None] = lambda path: None
    earlier: Callable[[], Iterator[Any]] = lambda: iter(())
    has_time: Callable[[], bool] = lambda: True

    def relative(self, path: str) -> str:
        """Return the path relative to the working directory, or unchanged if the file is outside of it."""
        return path.removeprefix(self.directory.rstrip("/") + "/") if self.directory else path


def replay(updates: Sequence[FileUpdate], has_time: Callable[[], bool]) -> FileText | None:
    """Return a file's content after its updates, oldest first; None if unknown or out of time."""
    start = next(_snapshots(updates), None)
    if start is None or len(updates) - start > MAX_REPLAYED_EDITS:
        return None
    content = _replay_from(updates, start, has_time)
    if content is None or content.is_whole:
        return content
    for earlier in _snapshots(updates[:start]):
        if updates[earlier].content.is_whole:  # type: ignore[union-attr]
            return _replay_from(updates, earlier, has_time) or content
    return content


def _snapshots(updates: Sequence[FileUpdate]) -> Iterator[int]:
    """Yield the positions of snapshots since the content was last invalidated, latest first."""
    for position in range(len(updates) - 1, -1, -1):
        if isinstance(updates[position], Invalidation):
            return
        if isinstance(updates[position], Snapshot):
            yield position


def _replay_from(updates: Sequence[FileUpdate], start: int, has_time: Callable[[], bool]) -> FileText | None:
    content: FileText | None = None
    for update in updates[start:]:
        if not has_time():
            return None
        if isinstance(update, Edit):
            content = content and apply_edit(content, update)
        elif isinstance(update, Rewrite):
            text = update.change(content.text) if content and content.is_whole else None
            content = None if text is None else FileText(text)
        elif isinstance(update, Snapshot):
            content = _merge(content, update.content) if content else update.content
    return content


def _merge(known: FileText, snapshot: FileText) -> FileText:
    """Return the known content if it contains the snapshot's lines, otherwise the snapshot."""
    if snapshot.is_whole or not known.is_whole:
        return snapshot
    first = snapshot.first_line - 1
    lines = snapshot.text.removesuffix("\n").split("\n")
    known_lines = known.text.split("\n")[first : first + len(lines)]
    return known if [line.rstrip("\r") for line in known_lines] == lines else snapshot


def apply_edit(content: FileText, edit: Edit) -> FileText | None:
    """Return the content after an edit; None if the edit's position is unknown or the content is too long."""
    has_crlf = "\r\n" in content.text
    text, old, new = content.text, edit.old, edit.new
    if has_crlf:
        text, old, new = (value.replace("\r\n", "\n") for value in (text, old, new))
    if old not in text and edit.ignores_quotes:
        old, new = _match_quotes(text, old, new)
    if edit.removes_newline and not new and not old.endswith("\n") and f"{old}\n" in text:
        old += "\n"
    count = text.count(old) if old else 0
    if not count or (edit.replaces_all and not content.is_whole) or (count > 1 and not edit.replaces_all):
        return None
    if len(text) + count * (len(new) - len(old)) > MAX_FILE_CHARACTERS:
        return None
    text = text.replace(old, new)
    return content._replace(text=text.replace("\n", "\r\n") if has_crlf else text)


def _match_quotes(text: str, old: str, new: str) -> tuple[str, str]:
    """Replace straight quotes in `old` and `new` with the file's typographic quotes."""
    start = text.translate(_STRAIGHT).find(old.translate(_STRAIGHT))
    if start < 0:
        return old, new
    actual = text[start : start + len(old)]
    for straight, typographic in (('"', _DOUBLE_QUOTES), ("'", _SINGLE_QUOTES)):
        if any(quote in actual for quote in typographic):
            new = "".join(_replace_quotes(new, straight, typographic))
    return actual, new


def _replace_quotes(text: str, straight: str, typographic: str) -> Iterator[str]:
    """Yield the text's characters, with straight quotes replaced by typographic ones."""
    opening, closing = typographic[0], typographic[1]
    before = " "
    for character in text:
        quote = opening if before in _BEFORE_OPENING else closing
        yield quote if character == straight else character
        before = character


def read_numbered_lines(
    text: str, start: int = 0, *, limit: int | None = None, is_truncated: bool = False
) -> FileText | None:
    """Read the numbered lines from position `start` of the text; None if there are none.

    In the tab format, an empty last line means that the file ends with a newline. The arrow format does not include
    this; assume a newline, because most files end with one.

    limit -- maximum number of lines, if any
    """
    lines = list(_numbered_lines(text, start))
    if not lines:
        return None
    first, separator, _ = lines[0]
    content = "\n".join(line for _, _, line in lines)
    has_end = not is_truncated and (limit is None or len(lines) < limit)
    is_exact = separator == "\t" and (has_end or not lines[-1][2])
    return FileText(content if is_exact else content + "\n", first, has_end)


def _numbered_lines(text: str, start: int) -> Iterator[tuple[int, str, str]]:
    expected: int | None = None
    while match := _NUMBERED.match(text, start):
        number = int(match[1])
        if number != (expected or number):
            return
        end = text.find("\n", match.end())
        end = len(text) if end < 0 else end
        yield number, match[2], text[match.end() : end]
        expected, start = number + 1, end + 1
