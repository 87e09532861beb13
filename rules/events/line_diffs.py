"""Compute unified diffs in git's format, in bounded time."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

# difflib takes quadratic time, and pairs each occurrence of a line with each occurrence in the other text. Ranges over
# these limits are split at lines that are unique in both texts.
MAX_COMPARED_LINES = 4_000
MAX_EQUAL_PAIRS = 20_000
CONTEXT_LINES = 3
NO_NEWLINE = "\\ No newline at end of file\n"


class Change(NamedTuple):
    """Replaces lines `old_start` to `old_end` of the old text with `new_start` to `new_end` of the new text."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int

    def shift(self, old: int, new: int) -> "Change":
        return Change(self.old_start + old, self.old_end + old, self.new_start + new, self.new_end + new)


def split_lines(text: str) -> list[str]:
    """Split into lines, keeping line endings. As in git, only a line feed ends a line."""
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def changes(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    """Return the changes between two lists of lines, in order. The result is deterministic."""
    result: list[Change] = []
    for change in _changes(old, new):
        # Merge adjacent changes.
        if result and (result[-1].old_end, result[-1].new_end) == (change.old_start, change.new_start):
            change = Change(result[-1].old_start, change.old_end, result.pop().new_start, change.new_end)
        result.append(change)
    return result


def _changes(old: Sequence[str], new: Sequence[str], is_split: bool = False) -> Iterator[Change]:
    start, old_end, new_end = _differing_range(old, new)
    old, new = old[start:old_end], new[start:new_end]
    if not old or not new:
        if old or new:
            yield Change(start, start + len(old), start, start + len(new))
    elif _is_comparable(old, new):
        for tag, *positions in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                yield Change(*positions).shift(start, start)
    elif is_split:
        yield Change(start, start + len(old), start, start + len(new))
    else:
        yield from (change.shift(start, start) for change in _split_changes(old, new))


def _is_comparable(old: Sequence[str], new: Sequence[str]) -> bool:
    if len(old) + len(new) > MAX_COMPARED_LINES:
        return False
    counts = Counter(new)
    return sum(count * counts[line] for line, count in Counter(old).items()) <= MAX_EQUAL_PAIRS


def _split_changes(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    """Yield the changes between lines that are unique in both texts and appear in the same order."""
    at_old = at_new = 0
    for old_line, new_line in (*_common_lines(old, new), (len(old), len(new))):
        between = _changes(old[at_old:old_line], new[at_new:new_line], is_split=True)
        yield from (change.shift(at_old, at_new) for change in between)
        at_old, at_new = old_line + 1, new_line + 1


def _common_lines(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the longest sequence of unique common lines that is in the same order in both texts, as positions."""
    counts = Counter(old), Counter(new)
    at_new = {line: number for number, line in enumerate(new) if counts[1][line] == 1}
    pairs = [(n, at_new[line]) for n, line in enumerate(old) if counts[0][line] == 1 and line in at_new]
    ends: list[int] = []  # for each length, the lowest position in `new` that ends a sequence
    last: list[int] = []  # the index of that pair
    before: list[int] = []
    for number, (_, position) in enumerate(pairs):
        length = bisect_left(ends, position)
        ends[length : length + 1] = [position]
        last[length : length + 1] = [number]
        before.append(last[length - 1] if length else -1)
    chain: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def _differing_range(old: Sequence[str], new: Sequence[str]) -> tuple[int, int, int]:
    """Return where the differing lines start, and where they end in each text."""
    shortest = min(len(old), len(new))
    start = next((n for n in range(shortest) if old[n] != new[n]), shortest)
    end = next((n for n in range(shortest - start) if old[-1 - n] != new[-1 - n]), shortest - start)
    return start, len(old) - end, len(new) - end


def hunks(
    old: Sequence[str], new: Sequence[str], differences: Sequence[Change], first_line: int = 1
) -> Iterator[str]:
    """Yield the lines of a unified diff without its file header. Each ends with a line feed.

    first_line -- number of the first line of both texts
    """
    for group in _group(differences):
        first, last = group[0], group[-1]
        before = min(CONTEXT_LINES, first.old_start)
        after = min(CONTEXT_LINES, len(old) - last.old_end)
        old_range = _range(first.old_start - before, last.old_end + after, first_line)
        new_range = _range(first.new_start - before, last.new_end + after, first_line)
        yield f"@@ -{old_range} +{new_range} @@\n"
        at = first.old_start - before
        for change in group:
            yield from _prefix_lines(" ", old[at : change.old_start])
            yield from _prefix_lines("-", old[change.old_start : change.old_end])
            yield from _prefix_lines("+", new[change.new_start : change.new_end])
            at = change.old_end
        yield from _prefix_lines(" ", old[at : last.old_end + after])


def _group(differences: Sequence[Change]) -> list[list[Change]]:
    """Group changes whose context lines touch or overlap."""
    groups: list[list[Change]] = []
    for change in differences:
        if groups and change.old_start - groups[-1][-1].old_end <= 2 * CONTEXT_LINES:
            groups[-1].append(change)
        else:
            groups.append([change])
    return groups


def _range(start: int, end: int, first_line: int) -> str:
    """Format a hunk's range. An empty range has the number of the preceding line."""
    length = end - start
    if length == 1:
        return str(start + first_line)
    return f"{start + first_line - (not length)},{length}"


def _prefix_lines(prefix: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield prefix + line if line.endswith("\n") else f"{prefix}{line}\n{NO_NEWLINE}"
