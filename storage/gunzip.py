"""Decompress an untrusted gzip stream within limits."""

import zlib
from time import monotonic
from typing import NamedTuple

from storage.base import Readable

CHUNK_BYTES = 64 * 1024
# For all headers of an entry, including long names and sparse maps. tarfile reads them into memory.
MAX_HEADER_BYTES = 16 * 1024
DAMAGED = "The bundle is not a gzip-compressed tar archive, or it is damaged."


class ListingLimits(NamedTuple):
    entries: int = 20_000
    name_characters: int = 1024 * 1024  # in total, on average 50 for each of 20,000 entries
    content_bytes: int = 256 * 1024 * 1024  # the client packs at most 100 MiB
    seconds: float = 10.0


class ListingStopped(Exception):
    """The listing is incomplete. The message is the reason."""


class BoundedGunzip:
    """The first gzip member's uncompressed bytes. tarfile reads headers and seeks over contents."""

    def __init__(self, source: Readable, limits: ListingLimits):
        self._source = source
        self._decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._bytes_left = limits.content_bytes
        self._deadline = monotonic() + limits.seconds
        self._chunk = memoryview(b"")  # decompressed, but not read yet
        self._position = 0
        self._header_bytes_left = MAX_HEADER_BYTES
        self.latest = b""  # the result of the latest read

    def start_entry(self) -> None:
        """Allow MAX_HEADER_BYTES for the headers of the next entry."""
        self._header_bytes_left = MAX_HEADER_BYTES

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes. Raises ListingStopped at the end of the stream."""
        if size < 0:
            raise ListingStopped(DAMAGED)
        self._header_bytes_left -= size
        if self._header_bytes_left < 0:
            raise ListingStopped("The bundle has a header that is too large to read.")
        chunks = []
        while size:
            chunk = self._read_some(size)
            chunks.append(chunk)
            size -= len(chunk)
        self.latest = b"".join(chunks)
        return self.latest

    def seek(self, position: int) -> None:
        """Skip forward. Raises ListingStopped at the end of the stream."""
        if position < self._position:
            raise ListingStopped(DAMAGED)
        while self._position < position:
            self._read_some(position - self._position)

    def _read_some(self, size: int) -> memoryview:
        """Return the next 1 to `size` bytes."""
        while not self._chunk:
            self._chunk = memoryview(self._decompress())
        chunk, self._chunk = self._chunk[:size], self._chunk[size:]
        self._position += len(chunk)
        return chunk

    def _decompress(self) -> bytes:
        """Return up to CHUNK_BYTES, or b"" if more compressed bytes are needed."""
        if self._bytes_left <= 0:
            raise ListingStopped("The bundle contains more data than a listing reads.")
        if monotonic() > self._deadline:
            raise ListingStopped("Reading the bundle took too long.")
        compressed = self._decompressor.unconsumed_tail or self._source.read(CHUNK_BYTES)
        data = self._decompressor.decompress(compressed, CHUNK_BYTES)
        if not data and (not compressed or self._decompressor.eof):
            raise ListingStopped("The bundle is truncated.")
        self._bytes_left -= len(data)
        return data
