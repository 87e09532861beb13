"""Compare two trees in a bundle."""

from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

from git_bundles import MAX_FILES, MAX_PATH_BYTES, MAX_TREE_DEPTH, MAX_TREE_ENTRIES, Unreadable
from git_bundles.objects import Objects

FOLDER, LINK, SUBMODULE = 0o040000, 0o120000, 0o160000
TOO_LONG = f"A path in the bundle is longer than {MAX_PATH_BYTES} bytes."
TYPE = 0o170000
# Git rejects these names: they could escape the folder or modify the repository.
_FORBIDDEN_NAMES = frozenset({b"", b".", b"..", b".git"})


class Entry(NamedTuple):
    """A tree entry's mode, and the id of its content."""

    mode: int
    name: str

    @property
    def has_content(self) -> bool:
        return self.mode & TYPE != SUBMODULE


class ChangedFile(NamedTuple):
    """A path, and its entries in the old and the new tree."""

    path: str
    old: Entry | None
    new: Entry | None
    old_path: str | None = None  # if an unchanged file was renamed

    @property
    def status(self) -> str:
        if self.old_path is not None:
            return "renamed"
        return "added" if self.old is None else "deleted" if self.new is None else "modified"


_PATH = attrgetter("path")


def changed_files(objects: Objects, old: str | None, new: str) -> list[ChangedFile]:
    """Return the files that differ between two trees, sorted by path.

    old -- None for the empty tree
    """
    files = list(_Walk(objects).compare(b"", old, new, 0))
    if len(files) > MAX_FILES:
        raise Unreadable(f"More than {MAX_FILES:,} files differ from the base.")
    return sorted(_combine_renames(files), key=_PATH)


def has_file(objects: Objects, tree: str) -> bool:
    return any(_Walk(objects).compare(b"", None, tree, 0))


class _Walk:
    """Compares trees. Limits the number of entries read, because a tree can appear at many paths."""

    def __init__(self, objects: Objects):
        self._objects = objects
        self._entries_left = MAX_TREE_ENTRIES

    def compare(self, folder: bytes, old: str | None, new: str | None, depth: int) -> Iterator[ChangedFile]:
        if depth > MAX_TREE_DEPTH:
            raise Unreadable(f"Folders in the bundle are nested more than {MAX_TREE_DEPTH} levels deep.")
        before, after = self._entries(old), self._entries(new)
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                yield from self._compare_entries(folder + name, before.get(name), after.get(name), depth)

    def _compare_entries(
        self, path: bytes, old: Entry | None, new: Entry | None, depth: int
    ) -> Iterator[ChangedFile]:
        if len(path) > MAX_PATH_BYTES:
            raise Unreadable(TOO_LONG)
        old_tree, new_tree = _tree(old), _tree(new)
        if old_tree or new_tree:
            yield from self.compare(path + b"/", old_tree, new_tree, depth + 1)
        old_file, new_file = None if old_tree else old, None if new_tree else new
        if old_file or new_file:
            yield ChangedFile(path.decode("utf-8", "backslashreplace"), old_file, new_file)

    def _entries(self, tree: str | None) -> dict[bytes, Entry]:
        if tree is None:
            return {}
        entries = {name: Entry(*entry) for name, entry in self._objects.entries(tree).items()}
        self._entries_left -= len(entries)
        if self._entries_left < 0:
            raise Unreadable(f"The folders in the bundle have more than {MAX_TREE_ENTRIES:,} entries.")
        for name in entries:
            # Also in unchanged entries: a folder with a long name is slow to read at many paths.
            if len(name) > MAX_PATH_BYTES:
                raise Unreadable(TOO_LONG)
            if name.lower() in _FORBIDDEN_NAMES or b"/" in name:
                raise Unreadable("A file name in the bundle is not allowed in a git repository.")
        return entries


def _tree(entry: Entry | None) -> str | None:
    """Return the folder's tree id, or None for other entries."""
    return entry.name if entry and entry.mode & TYPE == FOLDER else None


def _combine_renames(files: list[ChangedFile]) -> Iterator[ChangedFile]:
    """Combine a deleted and an added file with the same content into a renamed file."""
    deleted: dict[Entry, list[ChangedFile]] = {}
    for file in sorted(files, key=_PATH, reverse=True):
        if file.old and not file.new and file.old.has_content:
            deleted.setdefault(file.old, []).append(file)
    renamed = set()
    for file in sorted(files, key=_PATH):
        if file.new and not file.old and (sources := deleted.get(file.new)):
            source = sources.pop()
            renamed.add(source.path)
            yield ChangedFile(file.path, source.old, file.new, source.path)
        elif file.new:
            yield file
    yield from (file for file in files if not file.new and file.path not in renamed)
