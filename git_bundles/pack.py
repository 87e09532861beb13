"""A bundle's references and objects, within limits."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any

from dulwich.object_format import DEFAULT_OBJECT_FORMAT
from dulwich.objects import parse_tree
from dulwich.pack import DELTA_TYPES, MemoryPackIndex, Pack, PackData

from git_bundles import (
    MAX_HEADER_BYTES,
    MAX_INFLATED_BYTES,
    MAX_OBJECT_BYTES,
    MAX_OBJECTS,
    MEGABYTE,
    Unreadable,
)

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
MAX_TAGS = 5  # tags can be nested
CACHE_BYTES = 32 * MEGABYTE
VERSIONS = (b"# v2 git bundle\n", b"# v3 git bundle\n")
# `@filter` omits objects, which is detected when one is needed.
_CAPABILITY = re.compile(rb"@(object-format=sha1|filter=.*)\n")
_REFERENCE = re.compile(rb"([0-9a-f]{40}) (.+)\n")
_TREE_LINE = re.compile(rb"tree ([0-9a-f]{40})\n")
_TAG_LINES = re.compile(rb"object ([0-9a-f]{40})\n")


def read_head(file: IO[bytes]) -> str:
    """Read a bundle's header. Returns the object id of `HEAD`, or of the only reference."""
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
    if b"HEAD" not in references and len(references) != 1:
        raise Unreadable("The bundle must contain a HEAD reference, or exactly one reference.")
    return references.get(b"HEAD") or next(iter(references.values()))


def _header_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines between the first line and an empty line."""
    bytes_left = MAX_HEADER_BYTES
    while (line := file.readline(bytes_left)) != b"\n":
        bytes_left -= len(line)
        if not line.endswith(b"\n") or not bytes_left:
            raise Unreadable("The bundle's header is damaged, or longer than 64 KiB.")
        yield line


class Objects:
    """A bundle's objects by hexadecimal id.

    file -- the bundle, after its header
    """

    def __init__(self, file: IO[bytes]):
        pack = BytesIO(file.read())
        data = PackData("bundle", DEFAULT_OBJECT_FORMAT, file=pack, delta_base_cache_limit=CACHE_BYTES)
        _check_limits(data)
        index = MemoryPackIndex.for_pack(data)
        self._names = {name.decode() for name in index}
        self._pack: Any = Pack.from_objects(data, index)

    def get(self, name: str, kind: int) -> bytes:
        """Return an object's content. Raises Unreadable if it is missing or has a different type."""
        if name not in self._names:
            raise Unreadable("The bundle is missing an object.")
        actual_kind, content = self._pack.get_raw(name.encode())
        if actual_kind != kind:
            raise Unreadable("An object in the bundle has an unexpected type.")
        return content

    def commits(self, prefix: str) -> list[str]:
        """Return the ids of commits that start with a prefix."""
        names = [name for name in self._names if name.startswith(prefix)]
        return [name for name in names if self.is_commit(name)]

    def is_commit(self, name: str) -> bool:
        """Return whether the bundle contains this commit."""
        return name in self._names and self._pack.get_raw(name.encode())[0] == COMMIT

    def get_tree_id(self, commit: str) -> str:
        return self._reference(_TREE_LINE, self.get(commit, COMMIT))

    def peel(self, name: str) -> str:
        """Return the commit that a reference points to, directly or through tags."""
        for _ in range(MAX_TAGS):
            if name not in self._names or self._pack.get_raw(name.encode())[0] != TAG:
                return name
            name = self._reference(_TAG_LINES, self.get(name, TAG))
        raise Unreadable("The bundle's reference has too many nested tags.")

    def entries(self, tree: str) -> dict[bytes, tuple[int, str]]:
        """Return a tree's modes and ids by name."""
        try:
            entries = list(parse_tree(self.get(tree, TREE), sha_len=DEFAULT_OBJECT_FORMAT.oid_length))
        except Unreadable:
            raise
        except Exception:
            raise Unreadable("A folder in the bundle is damaged.") from None
        return {path: (mode, _hex(name)) for path, mode, name in entries}

    @staticmethod
    def _reference(pattern: re.Pattern[bytes], content: bytes) -> str:
        match = pattern.match(content)
        if not match:
            raise Unreadable("A commit or a tag in the bundle is damaged.")
        return match[1].decode()


def _hex(name: bytes) -> str:
    return name.decode() if len(name) == 40 else name.hex()


def _check_limits(data: PackData) -> None:
    """Check all objects without resolving deltas."""
    if len(data) > MAX_OBJECTS:
        raise Unreadable(f"The bundle contains more than {MAX_OBJECTS:,} objects.")
    total = 0
    for unpacked in data.iter_unpacked():
        size = unpacked.decomp_len or 0
        if unpacked.pack_type_num in DELTA_TYPES:
            size = max(size, _delta_result_size(b"".join(unpacked.decomp_chunks)))
        if size > MAX_OBJECT_BYTES:
            raise Unreadable("An object in the bundle is larger than 20 MiB.")
        total += size
        if total > MAX_INFLATED_BYTES:
            raise Unreadable("The objects in the bundle are larger than 200 MiB in total.")


def _delta_result_size(delta: bytes) -> int:
    """Return the size of the object that a delta produces: the delta's second number."""
    _, position = _read_number(delta, 0)
    return _read_number(delta, position)[0]


def _read_number(delta: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = delta[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
        if shift > 63:
            raise Unreadable("A delta in the bundle is damaged.")
