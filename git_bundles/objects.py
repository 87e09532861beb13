"""A bundle's references and objects, within limits."""

import re
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha1
from typing import IO, Any, NamedTuple

from git_bundles import (
    MAX_HEADER_BYTES,
    MAX_INFLATED_BYTES,
    MAX_NAMED_BYTES,
    MAX_OBJECT_BYTES,
    TooLarge,
    Unreadable,
)
from git_bundles.pack import (
    BLOB,
    COMMIT,
    DAMAGED,
    TAG,
    TREE,
    TYPE_NAMES,
    Entry,
    Pack,
    apply_delta,
    result_size,
)

MAX_TAGS = 5  # tags can be nested
VERSIONS = (b"# v2 git bundle\n", b"# v3 git bundle\n")
SUBMISSION, WORKSPACE_BASE = b"refs/proofstone/submission", b"refs/proofstone/base"
# `@filter` omits objects, which is detected when one is needed.
_CAPABILITY = re.compile(rb"@(object-format=sha1|filter=.*)\n")
_REFERENCE = re.compile(rb"([0-9a-f]{40}) (.+)\n")
_TREE_LINE = re.compile(rb"tree ([0-9a-f]{40})\n")
_TREE_ENTRY = re.compile(rb"([0-7]{1,7}) ([^\0]*)\0(.{20})", re.DOTALL)
_TAG_LINES = re.compile(rb"object ([0-9a-f]{40})\n")


def read_references(file: IO[bytes]) -> tuple[str, str | None]:
    """Read a bundle's header. Returns the ids of the submission and of the workspace's base, if there is one.

    The submission is `refs/proofstone/submission`, else `HEAD`, else the only reference.
    """
    if file.readline(len(VERSIONS[0])) not in VERSIONS:
        raise Unreadable("The file is not a git bundle.")
    references: dict[bytes, str] = {}
    for line in _header_lines(file):
        if line.startswith(b"-"):
            raise Unreadable("The bundle depends on commits that it does not contain.")
        if line.startswith(b"@"):
            if not _CAPABILITY.fullmatch(line):
                raise Unreadable("The bundle's format is not supported. Only SHA-1 repositories can be read.")
        elif reference := _REFERENCE.fullmatch(line):
            references[reference[2]] = reference[1].decode()
        else:
            raise Unreadable("The bundle's header is damaged.")
    base = references.pop(WORKSPACE_BASE, None)
    head = references.get(SUBMISSION) or references.get(b"HEAD")
    if head is None and len(references) != 1:
        raise Unreadable("The bundle must contain a HEAD reference, or exactly one reference.")
    return head or next(iter(references.values())), base


def _header_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines between the first line and an empty line."""
    bytes_left = MAX_HEADER_BYTES
    while (line := file.readline(bytes_left)) != b"\n":
        bytes_left -= len(line)
        if not line.endswith(b"\n") or not bytes_left:
            raise Unreadable("The bundle's header is damaged, or longer than 64 KiB.")
        yield line


class _Base(NamedTuple):
    """An object that deltas can refer to.

    offset -- of its entry in the pack
    name -- None if it is unknown
    content -- or the entry to read it from; None if the object is larger than MAX_NAMED_BYTES
    """

    offset: int
    name: str | None
    kind: int
    content: bytes | Entry | None


class _Delta(NamedTuple):
    """A delta, and the kind and content of its base. Many deltas can share a large content.

    offset -- of the delta's entry in the pack
    """

    kind: int
    content: Any
    offset: int
    delta: bytes | None


class Objects:
    """A bundle's objects by hexadecimal id.

    file -- the bundle, after its header
    """

    def __init__(self, file: IO[bytes]):
        self._objects: dict[str, tuple[int, bytes]] = {}
        self._large_sizes: dict[str, int] = {}  # of files larger than MAX_OBJECT_BYTES
        self._large_entries: dict[str, Entry] = {}  # of those that are not deltas
        # Whether the ids of some files are unknown, because a delta's base or result is too large.
        self._has_unnamed = False
        self._bytes_left = MAX_INFLATED_BYTES
        self._deltas: defaultdict[Any, list[tuple[int, bytes | None]]] = defaultdict(list)
        self._pack = Pack(file)
        bases = [base for entry, chunks in self._pack.entries() if (base := self._add(entry, chunks))]
        for base in bases:
            pending = self._deltas_of(base)
            while pending:
                pending += self._deltas_of(self._resolve(*pending.pop()))
        if self._deltas:
            raise Unreadable(DAMAGED)

    def _add(self, entry: Entry, chunks: Iterator[bytes]) -> _Base | None:
        """Store an object, or keep a delta for later."""
        if entry.base is not None:
            delta = b"".join(chunks) if entry.size <= MAX_NAMED_BYTES else None
            size = max(entry.size, result_size(delta)) if delta is not None else entry.size
            self._count(size if size <= MAX_OBJECT_BYTES else 0)
            self._deltas[entry.base].append((entry.offset, delta))
            return None
        if entry.size <= MAX_OBJECT_BYTES:
            self._count(entry.size)
            content = b"".join(chunks)
            return _Base(entry.offset, self._store(entry.kind, content), entry.kind, content)
        name = self._store_size(entry.kind, entry.size, chunks)
        self._large_entries[name] = entry
        return _Base(entry.offset, name, entry.kind, entry if entry.size <= MAX_NAMED_BYTES else None)

    def _count(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise Unreadable("The objects in the bundle are larger than 200 MiB in total.")

    def _deltas_of(self, base: _Base) -> list[_Delta]:
        deltas = [*self._deltas.pop(base.offset, ()), *self._deltas.pop(base.name, ())]
        content = base.content
        if deltas and isinstance(content, Entry):
            content = b"".join(self._pack.read(content))
        return [_Delta(base.kind, content, *delta) for delta in deltas]

    def _resolve(self, kind: int, content: Any, offset: int, delta: bytes | None) -> _Base:
        """Store the object that a delta produces. Its content stays in memory until its own deltas are resolved."""
        if content is None or delta is None or (size := result_size(delta)) > MAX_NAMED_BYTES:
            self._require_file(kind)
            self._has_unnamed = True
            return _Base(offset, None, kind, None)
        result = apply_delta(content, delta)
        is_shown = size <= MAX_OBJECT_BYTES
        name = self._store(kind, result) if is_shown else self._store_size(kind, size, iter([result]))
        return _Base(offset, name, kind, result)

    def _store(self, kind: int, content: bytes) -> str:
        name = sha1(TYPE_NAMES[kind] + b" %d\0" % len(content) + content).hexdigest()
        self._objects[name] = kind, content
        return name

    def _store_size(self, kind: int, size: int, chunks: Iterator[bytes]) -> str:
        """Store only the size of a file that is too large to show."""
        self._require_file(kind)
        digest = sha1(TYPE_NAMES[kind] + b" %d\0" % size)
        for chunk in chunks:
            digest.update(chunk)
        self._large_sizes[digest.hexdigest()] = size
        return digest.hexdigest()

    @staticmethod
    def _require_file(kind: int) -> None:
        if kind != BLOB:
            raise Unreadable("A commit, tag or folder in the bundle is larger than 20 MiB.")

    def get(self, name: str, kind: int) -> bytes:
        """Return an object's content.

        Raises TooLarge for a file over MAX_OBJECT_BYTES, and Unreadable if the object is missing or of another type.
        """
        if kind == BLOB and (name in self._large_sizes or (self._has_unnamed and name not in self._objects)):
            raise TooLarge(self._large_sizes.get(name))
        if name not in self._objects:
            raise Unreadable("The bundle is missing an object.")
        actual_kind, content = self._objects[name]
        if actual_kind != kind:
            raise Unreadable("An object in the bundle has an unexpected type.")
        return content

    def get_large(self, name: str) -> bytes | None:
        """Return the content of a file over MAX_OBJECT_BYTES; None if the bundle has it only as a delta."""
        entry = self._large_entries.get(name)
        return None if entry is None else b"".join(self._pack.read(entry))

    def size(self, name: str) -> int:
        """Return the size of an object's content, or 0 if it is not in memory."""
        return len(self._objects[name][1]) if name in self._objects else 0

    def commits(self, prefix: str) -> list[str]:
        """Return the ids of commits that start with a prefix."""
        return [name for name in self._objects if name.startswith(prefix) and self.is_commit(name)]

    def is_commit(self, name: str) -> bool:
        """Return whether the bundle contains this commit."""
        return name in self._objects and self._objects[name][0] == COMMIT

    def get_tree_id(self, commit: str) -> str:
        return self._reference(_TREE_LINE, self.get(commit, COMMIT))

    def peel(self, name: str) -> str:
        """Return the commit that a reference points to, directly or through tags."""
        for _ in range(MAX_TAGS):
            if name not in self._objects or self._objects[name][0] != TAG:
                return name
            name = self._reference(_TAG_LINES, self.get(name, TAG))
        raise Unreadable("The bundle's reference has too many nested tags.")

    def entries(self, tree: str) -> dict[bytes, tuple[int, str]]:
        """Return a tree's modes and ids by name."""
        content, position, entries = self.get(tree, TREE), 0, {}
        while position < len(content):
            if not (match := _TREE_ENTRY.match(content, position)):
                raise Unreadable("A folder in the bundle is damaged.")
            if match[2] in entries:
                raise Unreadable("A folder in the bundle contains a name twice.")
            entries[match[2]] = int(match[1], 8), match[3].hex()
            position = match.end()
        return entries

    @staticmethod
    def _reference(pattern: re.Pattern[bytes], content: bytes) -> str:
        match = pattern.match(content)
        if not match:
            raise Unreadable("A commit or a tag in the bundle is damaged.")
        return match[1].decode()
