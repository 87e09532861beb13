"""Patches in the format of Codex's apply_patch, as Codex 0.169 and opencode 1.18 apply them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

BEGIN, END = "*** Begin Patch", "*** End Patch"
_END_OF_FILE = "*** End of File"
_MOVE_TO = "*** Move to: "
_HEADER = re.compile(r"\*\*\* (Add|Delete|Update) File: (.+)")
# Limits on the lines of a file times the searched lines, and its characters times the searches. Beyond them the result
# is unknown.
MAX_COMPARED_LINES = 5_000_000
MAX_COMPARED_CHARACTERS = 20_000_000
# Characters that apply_patch treats as equal.
_PLAIN = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u2018\u2019\u201a\u201b", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
    | dict.fromkeys("\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))), " ")
)


@dataclass
class Chunk:
    """Lines that replace other lines.

    contexts -- lines that must occur before, in this order
    """

    contexts: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    is_at_end: bool = False


@dataclass
class FileChange:
    """The change of one file in a patch.

    action -- "Add", "Delete" or "Update"
    added -- the lines of an added file
    """

    action: str
    path: str
    move_to: str | None = None
    added: list[str] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)

    @property
    def content(self) -> str:
        """The text of an added file."""
        return "".join(f"{line}\n" for line in self.added)


class _Replacement(NamedTuple):
    start: int
    length: int
    lines: list[str]


def parse(patch: str) -> list[FileChange]:
    """The changes in a patch, in its order; empty if it is not one."""
    lines = patch.strip().split("\n")
    if lines[0].strip() != BEGIN or lines[-1].strip() != END:
        return []
    changes: list[FileChange] = []
    for line in lines[1:-1]:
        if header := _HEADER.fullmatch(line.strip()):
            changes.append(FileChange(header[1], header[2].strip()))
        elif changes and not _read_line(changes[-1], line):
            return []
    return changes


def _read_line(change: FileChange, line: str) -> bool:
    """Add a line to a change; returns whether it can belong to one."""
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
    """Start a chunk; consecutive contexts belong to the same one."""
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
    """The text after an update; None if it does not have the expected lines."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    if _is_too_much(text, lines, chunks):
        return None
    replacements = list(_replacements(lines, chunks))
    if None in replacements:
        return None
    for start, length, new in sorted(filter(None, replacements), key=lambda each: each.start, reverse=True):
        lines[start : start + length] = new
    return _joined(lines)


def _is_too_much(text: str, lines: Sequence[str], chunks: Sequence[Chunk]) -> bool:
    contexts = sum(len(chunk.contexts) for chunk in chunks)
    searched = contexts + sum(len(chunk.old) for chunk in chunks)
    if len(lines) * searched > MAX_COMPARED_LINES:
        return True
    return len(text) * (contexts + len(chunks)) > MAX_COMPARED_CHARACTERS


def _replacements(lines: Sequence[str], chunks: Sequence[Chunk]) -> Iterator[_Replacement | None]:
    position = 0
    for chunk in chunks:
        for context in chunk.contexts:
            found = _find(lines, [context], position, is_at_end=False)
            if found is None:
                yield None
                return
            position = found + 1
        replacement = _replacement(lines, chunk, position)
        yield replacement
        if replacement is None:
            return
        if chunk.old:
            position = replacement.start + replacement.length


def _replacement(lines: Sequence[str], chunk: Chunk, position: int) -> _Replacement | None:
    old, new = chunk.old, chunk.new
    if not old:
        return _Replacement(len(lines) - (bool(lines) and not lines[-1]), 0, new)
    found = _find(lines, old, position, chunk.is_at_end)
    if found is None and not old[-1]:
        # An empty last line may represent the line end of the file.
        old, new = old[:-1], new[:-1] if new and not new[-1] else new
        found = _find(lines, old, position, chunk.is_at_end)
    return None if found is None else _Replacement(found, len(old), new)


def _find(lines: Sequence[str], wanted: Sequence[str], start: int, is_at_end: bool) -> int | None:
    """The first position of the expected lines; each further attempt compares less strictly."""
    last = len(lines) - len(wanted)
    if is_at_end and last >= 0:
        start = last
    if not wanted:
        return start if start <= last else None
    for normalized in _NORMALIZED:
        searched, some = [normalized(line) for line in wanted], [normalized(line) for line in lines[start:]]
        for position in range(last - start + 1):
            if some[position] == searched[0] and some[position : position + len(wanted)] == searched:
                return start + position
    return None


def _without_typography(line: str) -> str:
    return line.strip().translate(_PLAIN)


_NORMALIZED: tuple[Callable[[str], str], ...] = (str, str.rstrip, str.strip, _without_typography)


def _joined(lines: Sequence[str]) -> str:
    """The text of a changed file, which always ends with a line end."""
    return "\n".join(lines if lines and not lines[-1] else [*lines, ""])
