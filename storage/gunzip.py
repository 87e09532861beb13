"""Decompress an untrusted gzip stream within limits."""

import zlib
from time import monotonic
from typing import NamedTuple

from storage.base import Readable

CHUNK_BYTES = 64 * 1024


class ListingLimits(NamedTuple):
    entries: int = 20_000
    name_characters: int = 1024 * 1024  # of all names together: 50 for each of 20,000 entries
    content_bytes: int = 256 * 1024 * 1024  # uncompressed; the client packs at most 100 MiB
    seconds: float = 10.0


class ListingStopped(Exception):
    """The bundle cannot be read further. The message says why."""


class BoundedGunzip:
    """The uncompressed bytes of the first gzip member; millions may follow."""

    def __init__(self, source: Readable, limits: ListingLimits):
        self._source = source
        self._decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._bytes_left = limits.content_bytes
        self._deadline = monotonic() + limits.seconds

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes. Raise ListingStopped at the end of the stream."""
        data = b""
        while not data:
            self._check_limits()
            compressed = self._decompressor.unconsumed_tail or self._source.read(CHUNK_BYTES)
            data = self._decompressor.decompress(compressed, size)
            if not data and (not compressed or self._decompressor.eof):
                raise ListingStopped("The bundle is truncated.")
        self._bytes_left -= len(data)
        return data

    def _check_limits(self) -> None:
        if self._bytes_left <= 0:
            raise ListingStopped("The bundle has more contents than a listing reads.")
        if monotonic() > self._deadline:
            raise ListingStopped("Reading the bundle took too long.")
