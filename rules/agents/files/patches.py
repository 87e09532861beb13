"""Patches in Codex's apply_patch format (verified with Codex 0.169 and opencode 1.18)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

BEGIN, END = "*** Begin Patch", "*** End Patch"
_END_OF_FILE = "*** End of File"
_MOVE_TO = "*** Move to: "
_HEADER = re.compile(r"\*\*\* (Add|Delete|Update) File: (.+)")
# A patch that changes more files is not read.
MAX_FILES = 1_000
# Limits on a file's lines times the searched lines, and on its characters times the searches. Over these limits, the
# result is unknown.
MAX_COMPARED_LINES = 5_000_000
MAX_COMPARED_CHARACTERS = 20_000_000
# Typographic characters that apply_patch treats as their ASCII equivalents.
_PLAIN = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u2018\u2019\u201a\u201b", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
    | dict.fromkeys("\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))), " ")
)


@dataclass
class Chunk:
    """A replacement of lines.

    contexts -- lines that must precede it, in this order
    """

    contexts: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    is_at_end: bool = False


@dataclass
class FileChange:
    """A change to one file in a patch.

    action -- "Add", "Delete" or "Update"
    added -- an added file's lines
    """

    action: str
    path: str
    move_to: str | None = None
    added: list[str] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)

    @property
    def content(self) -> str:
        """An added file's content."""
        return "".join(f"{line}\n" for line in self.added)


class _Replacement(NamedTuple):
    start: int
    length: int
    lines: list[str]


def parse(patch: str) -> list[FileChange]:
    """Return a patch's changes in order, or an empty list if the text is not a patch."""
    lines = patch.strip().split("\n")
    if lines[0].strip() != BEGIN or lines[-1].strip() != END:
        return []
    changes: list[FileChange] = []
    for line in lines[1:-1]:
        if header := _HEADER.fullmatch(line.strip()):
            if len(changes) == MAX_FILES:
                return []
            changes.append(FileChange(header[1], header[2].strip()))
        elif changes and not _read_line(changes[-1], line):
            return []
    return changes


def _read_line(change: FileChange, line: str) -> bool:
    """Add a line to a change; return False if the line is invalid."""
    if change.action == "Update":
        return _read_update(change, line)
    if change.action == "Add" and line.startswith("+"):
        change.added.append(line[1:])
        return True
    return not line.strip()


def _read_update(change: FileChange, line: str) -> bool:
    if line.startswith(_MOVE_TO) and not change.chunks:
        change.move_to = line.removeprefix(_MOVE_TO).strip()
    elif line.rstrip() == "@@" or line.startswith("@@ "):
        _start_chunk(change).contexts += [line[3:]] if line[3:] else []
    elif line.strip() == _END_OF_FILE and change.chunks:
        change.chunks[-1].is_at_end = True
    else:
        return _read_changed_line(change, line)
    return True


def _start_chunk(change: FileChange) -> Chunk:
    """Start a chunk, unless the last one has no lines yet."""
    last = change.chunks[-1] if change.chunks else None
    if last is None or last.old or last.new:
        last = Chunk()
        change.chunks.append(last)
    return last


def _read_changed_line(change: FileChange, line: str) -> bool:
    sign, rest = (line[0], line[1:]) if line else (" ", "")
    if sign not in " +-":
        return False
    chunk = change.chunks[-1] if change.chunks else _start_chunk(change)
    if sign in " -":
        chunk.old.append(rest)
    if sign in " +":
        chunk.new.append(rest)
    return True


def apply(text: str, chunks: Sequence[Chunk]) -> str | None:
    """Return the updated text, ending with a newline; None if the expected lines are missing."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    context_count = sum(len(chunk.contexts) for chunk in chunks)
    searched_lines = context_count + sum(len(chunk.old) for chunk in chunks)
    searched_characters = len(text) * (context_count + len(chunks))
    if len(lines) * searched_lines > MAX_COMPARED_LINES or searched_characters > MAX_COMPARED_CHARACTERS:
        return None
    replacements = _replacements(lines, chunks)
    if replacements is None:
        return None
    for start, length, new in sorted(replacements, key=lambda replacement: replacement.start, reverse=True):
        lines[start : start + length] = new
    return "\n".join(lines if lines and not lines[-1] else [*lines, ""])


def _replacements(lines: Sequence[str], chunks: Sequence[Chunk]) -> list[_Replacement] | None:
    replacements = []
    position = 0
    for chunk in chunks:
        for context in chunk.contexts:
            start = _find(lines, [context], position, is_at_end=False)
            if start is None:
                return None
            position = start + 1
        replacement = _replacement(lines, chunk, position)
        if replacement is None:
            return None
        replacements.append(replacement)
        if chunk.old:
            position = replacement.start + replacement.length
    return replacements


def _replacement(lines: Sequence[str], chunk: Chunk, position: int) -> _Replacement | None:
    old, new = chunk.old, chunk.new
    if not old:
        return _Replacement(len(lines) - (bool(lines) and not lines[-1]), 0, new)
    start = _find(lines, old, position, chunk.is_at_end)
    if start is None and not old[-1]:
        # An empty last line can represent the file's newline.
        old, new = old[:-1], new[:-1] if new and not new[-1] else new
        start = _find(lines, old, position, chunk.is_at_end)
    return None if start is None else _Replacement(start, len(old), new)


def _find(lines: Sequence[str], expected: Sequence[str], start: int, is_at_end: bool) -> int | None:
    """Return the first position of the expected lines, comparing less strictly with each attempt."""
    last = len(lines) - len(expected)
    if is_at_end and last >= 0:
        start = last
    if not expected:
        return start if start <= last else None
    for normalize in _NORMALIZATIONS:
        searched = [normalize(line) for line in expected]
        normalized = [normalize(line) for line in lines[start:]]
        for position in range(last - start + 1):
            end = position + len(expected)
            if normalized[position] == searched[0] and normalized[position:end] == searched:
                return start + position
    return None


_NORMALIZATIONS: tuple[Callable[[str], str], ...] = (
    str,
    str.rstrip,
    str.strip,
    lambda line: line.strip().translate(_PLAIN),
)
