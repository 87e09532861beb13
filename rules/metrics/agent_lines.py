"""Match the final diff's lines with the lines that agents added (docs/metrics.md#lines-not-recorded)."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from rules.events.envelopes import field, text

KINDS = frozenset({"file_diff", "file_create"})
DIGEST_BYTES = 12
DIGEST_CHARACTERS = 2 * DIGEST_BYTES
BLANK = "0" * DIGEST_CHARACTERS
_HUNK = re.compile(r"@@(?: -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@)?", re.ASCII)
_NEXT_FILE = ("diff --git ", "--- ", "*** ")


def line_digest(line: str) -> str:
    """Identify a line by its text without the whitespace around it; BLANK for a blank line, which never counts."""
    content = line.strip()
    if not content:
        return BLANK
    return hashlib.blake2b(content.encode("utf-8", "replace"), digest_size=DIGEST_BYTES).hexdigest()


def added_lines(envelope: Any) -> tuple[str, list[str]] | None:
    """The path of an agent's change and the lines that it added; None for any other event. Never raises."""
    path = text(field(envelope, "data", "path"))
    is_agents = field(envelope, "provenance", "attribution") == "likely_ai"
    if text(field(envelope, "kind")) not in KINDS or not is_agents or not path:
        return None
    diff, content, old, new = (
        text(field(envelope, "data", name)) for name in ("diff", "content", "oldString", "newString")
    )
    lines = list(_lines_of_diff(diff)) if diff else []
    if not lines and new is not None:
        lines = list((Counter(new.split("\n")) - Counter((old or "").split("\n"))).elements())
    if not lines and content is not None:
        lines = content.split("\n")
    return path, lines


def _lines_of_diff(diff: str) -> Iterator[str]:
    """The added lines in the hunks of a unified diff; hunks without line numbers end at the next header."""
    is_counted, old_left, new_left, in_hunk = False, 0, 0, False
    for line in diff.split("\n"):
        if is_counted and old_left <= 0 and new_left <= 0:
            in_hunk = is_counted = False
        if not is_counted and (header := _HUNK.match(line)):
            in_hunk, is_counted = True, " -" in header[0]
            old_left, new_left = (int(count or 1) for count in header.groups())
        elif not is_counted and line.startswith(_NEXT_FILE):
            in_hunk = False
        elif in_hunk:
            old_left -= not line.startswith(("+", "\\"))
            new_left -= not line.startswith(("-", "\\"))
            if line.startswith("+"):
                yield line[1:]


class AgentLines:
    """The lines that a session's agents added, by the path of the final diff that they belong to.

    Each added line explains one line of that path. Lines of a path that is not in the final diff, such as a file
    renamed later, or that can be several, explain lines of any path.

    paths -- of the final diff
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = set(paths)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self._paths):
            self._by_name[path.rpartition("/")[2]].append(path)
        self._of_path: dict[str, Counter[str]] = defaultdict(Counter)
        self._of_others: Counter[str] = Counter()

    def add(self, path: str, lines: Iterable[str]) -> None:
        """Add a change's lines."""
        known = self._resolve(path)
        counter = self._of_others if known is None else self._of_path[known]
        counter.update(map(line_digest, lines))

    def _resolve(self, path: str) -> str | None:
        """The path of the final diff that an agent's path names, absolute or relative to a folder inside it."""
        path = path.replace("\\", "/").removeprefix("./")
        if path in self._paths:
            return path
        named = self._by_name.get(path.rpartition("/")[2], [])
        inside = [known for known in named if path.endswith("/" + known)]
        if inside:
            return max(inside, key=len)
        below = [known for known in named if known.endswith("/" + path)]
        return below[0] if len(below) == 1 else None

    def manual_lines(self, path: str, lines: Iterable[tuple[int, str]]) -> Iterator[int]:
        """The numbers of the lines that no agent added.

        lines -- the added lines of a path, in order: number and digest
        """
        counters = [self._of_path[path], self._of_others] if path in self._of_path else [self._of_others]
        for number, digest in lines:
            if digest != BLANK and not any(_take(counter, digest) for counter in counters):
                yield number


def _take(counter: Counter[str], digest: str) -> bool:
    is_left = counter[digest] > 0
    if is_left:
        counter[digest] -= 1
    return is_left


def split_digests(digests: str) -> Iterator[str]:
    """The digests in a string of them."""
    return (digests[at : at + DIGEST_CHARACTERS] for at in range(0, len(digests), DIGEST_CHARACTERS))


def numbers(ranges: Iterable[list[int]]) -> Iterator[int]:
    """The line numbers in ranges."""
    return (number for first, last in ranges for number in range(first, last + 1))


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Ascending line numbers as [first, last]."""
    result: list[list[int]] = []
    for number in numbers:
        if result and number == result[-1][1] + 1:
            result[-1][1] = number
        else:
            result.append([number, number])
    return result
