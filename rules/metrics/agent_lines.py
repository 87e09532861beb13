"""Match lines of the final diff with lines that agents added (docs/metrics.md#recorded-lines)."""

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
    """Identify a line by its stripped text. Returns BLANK for blank lines, which are never counted."""
    content = line.strip()
    if not content:
        return BLANK
    return hashlib.blake2b(content.encode("utf-8", "replace"), digest_size=DIGEST_BYTES).hexdigest()


def added_lines(envelope: Any) -> tuple[str, list[str]] | None:
    """Return the path and added lines of an agent's change; None for other events. Never raises."""
    path = text(field(envelope, "data", "path"))
    is_by_agent = field(envelope, "provenance", "attribution") == "likely_ai"
    if text(field(envelope, "kind")) not in KINDS or not is_by_agent or not path:
        return None
    diff, content, old, new = (
        text(field(envelope, "data", name)) for name in ("diff", "content", "oldString", "newString")
    )
    lines = [line[1:] for line in diff_lines(diff or "") if line.startswith("+")]
    if not lines and new is not None:
        lines = list((Counter(new.split("\n")) - Counter((old or "").split("\n"))).elements())
    if not lines and content is not None:
        lines = content.split("\n")
    return path, lines


def diff_lines(diff: str) -> Iterator[str]:
    """Yield the lines of a unified diff's hunks with their signs. Hunks without line numbers end at the next header."""
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
            yield line


class AgentLines:
    """The lines that a session's agents added, by path in the final diff.

    Each added line accounts for one line at its path. If the path is ambiguous or not in the final diff, such as for a
    file that was renamed later, it accounts for one line at any path.

    paths -- the paths in the final diff
    digests -- the digests of its added lines; others are not kept
    """

    def __init__(self, paths: Iterable[str], digests: Iterable[str]) -> None:
        self._paths, self._digests = set(paths), frozenset(digests)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self._paths):
            self._by_name[path.rpartition("/")[2]].append(path)
        self._counts_by_path: dict[str, Counter[str]] = defaultdict(Counter)
        self._unresolved_counts: Counter[str] = Counter()

    def add(self, path: str, lines: Iterable[str]) -> None:
        """Add a change's lines."""
        resolved = self._resolve(path)
        counts = self._unresolved_counts if resolved is None else self._counts_by_path[resolved]
        counts.update(digest for digest in map(line_digest, lines) if digest in self._digests)

    def _resolve(self, path: str) -> str | None:
        """Find the path in the final diff for an agent's path, which can be absolute or relative to any folder."""
        path = path.replace("\\", "/").removeprefix("./")
        if path in self._paths:
            return path
        candidates = self._by_name.get(path.rpartition("/")[2], [])
        suffixes = [candidate for candidate in candidates if path.endswith("/" + candidate)]
        if suffixes:
            return max(suffixes, key=len)
        longer = [candidate for candidate in candidates if candidate.endswith("/" + path)]
        return longer[0] if len(longer) == 1 else None

    def unrecorded_lines(self, path: str, lines: Iterable[tuple[int, str]]) -> Iterator[int]:
        """Yield the numbers of lines that no agent added.

        lines -- pairs of (number, digest) for the lines added at the path, in order
        """
        counters = [self._counts_by_path.get(path, Counter()), self._unresolved_counts]
        for number, digest in lines:
            counts = next((counts for counts in counters if counts[digest] > 0), None)
            if counts is not None:
                counts[digest] -= 1
            elif digest != BLANK:
                yield number


def split_digests(digests: str) -> Iterator[str]:
    """Split concatenated digests."""
    return (digests[at : at + DIGEST_CHARACTERS] for at in range(0, len(digests), DIGEST_CHARACTERS))


def expand_ranges(ranges: Iterable[list[int]]) -> Iterator[int]:
    """Yield the line numbers in [first, last] ranges."""
    return (number for first, last in ranges for number in range(first, last + 1))


def collapse_ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Collapse ascending line numbers into [first, last] ranges."""
    result: list[list[int]] = []
    for number in numbers:
        if result and number == result[-1][1] + 1:
            result[-1][1] = number
        else:
            result.append([number, number])
    return result
