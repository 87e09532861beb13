"""Read an untrusted gzip-compressed tar within limits."""

import tarfile
import zlib
from collections.abc import Iterator
from time import monotonic
from typing import Any, NamedTuple

MEGABYTE = 1024 * 1024
CHUNK_BYTES = 64 * 1024
# For all headers of an entry, including long names and sparse maps. tarfile reads them into memory.
MAX_HEADER_BYTES = 16 * 1024
MAX_GLOBAL_FIELDS = 100  # tarfile applies them to every entry
DAMAGED = "The archive is not a gzip-compressed tar archive, or it is damaged."


class ListingLimits(NamedTuple):
    entries: int = 20_000
    name_characters: int = 1024 * 1024  # in total, on average 50 for each of 20,000 entries
    content_bytes: int = 256 * 1024 * 1024  # the client packs at most 100 MiB
    seconds: float = 10.0


class ListingStopped(Exception):
    """The listing is incomplete. The message is the reason."""


class BoundedGunzip:
    """The first gzip member's uncompressed bytes. tarfile reads headers and seeks over contents."""

    def __init__(self, source: Any, limits: ListingLimits):
        self._source = source
        self._decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._limit = self._bytes_left = limits.content_bytes
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
        """Return exactly `size` bytes of headers. Raises ListingStopped at the end of the stream."""
        if size < 0:
            raise ListingStopped(DAMAGED)
        self._header_bytes_left -= size
        if self._header_bytes_left < 0:
            raise ListingStopped("The archive has a header that is too large to read.")
        self.latest = self.read_content(size)
        return self.latest

    def read_content(self, size: int) -> bytes:
        """Return exactly `size` bytes. Raises ListingStopped at the end of the stream."""
        chunks = []
        while size:
            chunk = self._read_some(size)
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

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
            raise ListingStopped(f"The archive is larger than {self._limit // MEGABYTE} MiB when unpacked.")
        if monotonic() > self._deadline:
            raise ListingStopped("Reading the archive took too long.")
        compressed = self._decompressor.unconsumed_tail or self._source.read(CHUNK_BYTES)
        data = self._decompressor.decompress(compressed, CHUNK_BYTES)
        if not data and (not compressed or self._decompressor.eof):
            raise ListingStopped("The archive is truncated.")
        self._bytes_left -= len(data)
        return data


def read_headers(contents: BoundedGunzip) -> Iterator[tarfile.TarInfo]:
    """Yield each entry's header; the stream is then at the entry's content.

    Raises ListingStopped, and TarError, zlib.error or ValueError for a damaged archive.
    """
    archive: Any
    file: Any = contents
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        while header := archive.next():
            archive.members.clear()  # tarfile keeps all headers in memory
            if len(archive.pax_headers) > MAX_GLOBAL_FIELDS:
                raise ListingStopped("The archive has too many global headers.")
            yield header
            contents.start_entry()
    if contents.latest.strip(b"\0"):  # tarfile stops silently at a damaged header
        raise ListingStopped(DAMAGED)
