"""Apply a patch to a repository's files: a task's reference solution."""

import re
from bisect import bisect_left
from dataclasses import replace

from dulwich.patch import FilePatch, PatchHunk, apply_patch_hunks, parse_unified_diff

from rules.archives import ArchiveFile, UnreadableArchive, check_path

# Lines to read and to move: a hunk moves the lines after it.
MAX_MOVED_LINES = 100_000_000
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_FILE_TYPE, _REGULAR_FILE, _EXECUTABLE = 0o170000, 0o100000, 0o100


class ReferencePatch:
    """A patch as `git diff` or `git format-patch` writes it. Raises UnreadableArchive, also in `apply`."""

    def __init__(self, content: bytes):
        try:
            patches = parse_unified_diff(content)
            self._patches = [(patch, *_paths(patch)) for patch in patches]
        except ValueError:
            raise UnreadableArchive("The patch is damaged.") from None
        if not patches:
            raise UnreadableArchive("The patch contains no changes. Create it with `git diff`.")
        self._lines_left = MAX_MOVED_LINES
        # Of the files that the patch changes, adds or deletes.
        self.paths = {path for _, *paths in self._patches for path in paths if path}

    def apply(self, files: dict[str, ArchiveFile]) -> tuple[list[ArchiveFile], list[str]]:
        """Return the files that differ after the patch, and the paths of deleted files.

        files -- the repository's files at `paths`
        """
        patched = dict(files)
        for patch, old, new in self._patches:
            self._apply(patch, old, new, patched)
        changed = [file for path, file in patched.items() if files.get(path) != file]
        return changed, sorted(files.keys() - patched.keys())

    def _apply(
        self, patch: FilePatch, old: str | None, new: str | None, files: dict[str, ArchiveFile]
    ) -> None:
        path = new or old or ""
        if patch.binary or (patch.new_mode or _REGULAR_FILE) & _FILE_TYPE != _REGULAR_FILE:
            raise UnreadableArchive(f"`{path}` is binary, a link or a submodule. Send an archive instead.")
        if old and old not in files:
            raise UnreadableArchive(f"`{old}` is not in the repository.")
        if new and new != old and new in files:
            raise UnreadableArchive(f"`{new}` is already in the repository.")
        original = files[old] if old else ArchiveFile(path, False, b"")
        content = self._apply_hunks(patch, path, original.content)
        if not new and content:
            raise UnreadableArchive(f"The patch deletes `{path}`, but not all of its lines.")
        if old and old != new and patch.copy_from is None:
            del files[old]
        if new:
            is_executable = bool(patch.new_mode & _EXECUTABLE) if patch.new_mode else original.is_executable
            files[new] = ArchiveFile(new, is_executable, content)

    def _apply_hunks(self, patch: FilePatch, path: str, content: bytes) -> bytes:
        hunks = [_trim(hunk, number, path) for number, hunk in enumerate(patch.hunks, 1)]
        lines = _LINE.findall(content)
        self._lines_left -= len(lines) * (len(hunks) + 1)
        if self._lines_left < 0:
            raise UnreadableArchive("The patch is too large. Send an archive instead.")

        def apply(count: int) -> list[bytes] | None:
            return apply_patch_hunks(replace(patch, hunks=hunks[:count]), lines)

        result = apply(len(hunks))
        if result is None:
            failed = bisect_left(range(len(hunks)), True, key=lambda count: apply(count) is None)
            raise UnreadableArchive(f"Hunk {failed} of `{path}` does not apply to the repository.")
        return b"".join(result)


def _paths(patch: FilePatch) -> tuple[str | None, str | None]:
    """Return the old path, None for a new file, and the new path, None for a deleted file."""
    old = patch.rename_from or patch.copy_from or _without_prefix(patch.old_path)
    new = patch.rename_to or patch.copy_to or _without_prefix(patch.new_path)
    if not old and not new:
        raise UnreadableArchive("The patch has a change without a path. Create it with `git diff`.")
    return _decode(old), _decode(new)


def _without_prefix(path: bytes | None) -> bytes | None:
    """Remove the prefix `a/` or `b/`."""
    return path and path.partition(b"/")[2]


def _decode(path: bytes | None) -> str | None:
    return check_path(path.decode()) if path else None


def _trim(hunk: PatchHunk, number: int, path: str) -> PatchHunk:
    """Return the hunk with the lines that its header counts: dulwich also reads an email's signature."""
    old_left, new_left, lines = hunk.old_count, hunk.new_count, []
    for line in hunk.lines:
        if old_left <= 0 and new_left <= 0 and not line.startswith(b"\\"):
            break
        old_left -= line.startswith((b" ", b"-"))
        new_left -= line.startswith((b" ", b"+"))
        lines.append(line)
    if old_left or new_left:
        raise UnreadableArchive(f"Hunk {number} of `{path}` is incomplete.")
    return replace(hunk, lines=lines)
