"""Read a pack's entries in order. Large objects are not kept in memory."""

import os
import zlib
from collections.abc import Iterator
from hashlib import sha1
from typing import IO, NamedTuple

from git_bundles import MAX_OBJECTS, Unreadable

COMMIT, TREE, BLOB, TAG, OFS_DELTA, REF_DELTA = 1, 2, 3, 4, 6, 7
TYPE_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
ID_BYTES = 20
CHUNK_BYTES = 64 * 1024
DAMAGED = "The bundle is damaged."


class Entry(NamedTuple):
    """An object or a delta.

    offset -- from the start of the pack
    size -- of the inflated content
    position -- of the deflated content in the file
    base -- a delta's base: an entry's offset, or an object's id
    """

    offset: int
    kind: int
    size: int
    position: int
    base: int | str | None


class Pack:
    """A pack in a file, which is at the pack's start."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self._start = file.tell()
        self._end = file.seek(0, os.SEEK_END) - ID_BYTES
        file.seek(self._start)
        digest = sha1()
        while left := max(0, self._end - file.tell()):
            digest.update(file.read(min(left, CHUNK_BYTES)))
        if file.read() != digest.digest():
            raise Unreadable(DAMAGED)

    def entries(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield each entry, and its content in chunks, which can only be read before the next entry."""
        self._file.seek(self._start)
        signature, version = self._file.read(4), int.from_bytes(self._file.read(4))
        count = int.from_bytes(self._file.read(4))
        if signature != b"PACK" or version not in (2, 3):
            raise Unreadable(DAMAGED)
        if count > MAX_OBJECTS:
            raise Unreadable(f"The bundle contains more than {MAX_OBJECTS:,} objects.")
        for _ in range(count):
            entry = self._read_header()
            chunks = self.read(entry)
            yield entry, chunks
            for _ in chunks:
                pass
        if self._file.tell() != self._end:
            raise Unreadable(DAMAGED)

    def _read_header(self) -> Entry:
        offset = self._file.tell() - self._start
        byte = self._read_byte()
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 0x80 and shift < 64:
            byte = self._read_byte()
            size |= (byte & 0x7F) << shift
            shift += 7
        base: int | str | None = None
        if kind == OFS_DELTA:
            base = offset - self._read_distance()
        elif kind == REF_DELTA:
            base = self._file.read(ID_BYTES).hex()
        elif kind not in TYPE_NAMES:
            raise Unreadable(DAMAGED)
        return Entry(offset, kind, size, self._file.tell(), base)

    def _read_distance(self) -> int:
        distance = -1
        while distance < 2**64:
            byte = self._read_byte()
            distance = (distance + 1) << 7 | byte & 0x7F
            if not byte & 0x80:
                return distance
        raise Unreadable(DAMAGED)

    def _read_byte(self) -> int:
        if byte := self._file.read(1):
            return byte[0]
        raise Unreadable(DAMAGED)

    def read(self, entry: Entry) -> Iterator[bytes]:
        """Yield an entry's content in chunks, and leave the file at its end."""
        self._file.seek(entry.position)
        inflater, bytes_left = zlib.decompressobj(), entry.size
        while not inflater.eof:
            deflated = inflater.unconsumed_tail or self._file.read(min(CHUNK_BYTES, entry.size + ID_BYTES))
            chunk = inflater.decompress(deflated, CHUNK_BYTES)
            bytes_left -= len(chunk)
            if not deflated or bytes_left < 0:
                raise Unreadable(DAMAGED)
            yield chunk
        if bytes_left:
            raise Unreadable(DAMAGED)
        self._file.seek(-len(inflater.unused_data), os.SEEK_CUR)


def result_size(delta: bytes) -> int:
    """Return the size of the object that a delta produces: the delta's second number."""
    _, position = _read_number(delta, 0)
    return _read_number(delta, position)[0]


def apply_delta(base: bytes, delta: bytes) -> bytes:
    """Return the object that a delta produces: parts of its base, and the delta's own bytes."""
    base_size, position = _read_number(delta, 0)
    bytes_left, position = _read_number(delta, position)
    parts = []
    while position < len(delta) and bytes_left >= 0:
        code, position = delta[position], position + 1
        if code & 0x80:
            numbers = []
            for bit in range(7):  # four bytes of the offset, three of the size
                is_present = code >> bit & 1
                numbers.append(delta[position] if is_present else 0)
                position += is_present
            start = int.from_bytes(numbers[:4], "little")
            part = base[start : start + (int.from_bytes(numbers[4:], "little") or 0x10000)]
        else:
            part = delta[position : position + code]
            position += code
        parts.append(part)
        bytes_left -= len(part)
    if bytes_left or base_size != len(base):
        raise Unreadable(DAMAGED)
    return b"".join(parts)


def _read_number(delta: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(delta) and shift < 64:
        byte = delta[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
    raise Unreadable(DAMAGED)
