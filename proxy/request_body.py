"""Read the whole request body before the call, because `max_tokens` can be at its end (R42)."""

import logging
import mmap
from collections.abc import Iterable
from tempfile import SpooledTemporaryFile
from typing import Any

from werkzeug.exceptions import HTTPException

from errors import DiskFull, first_line
from proxy.json_text import Text, Value
from web.json import NotJson

log = logging.getLogger("proofstone.proxy")

# Kept until the response ends if the call is recorded.
MAX_BYTES_IN_MEMORY = 128 * 1024
CHUNK_BYTES = 65536


class RequestBody:
    """A body in memory, or in a temporary file if it is longer than MAX_BYTES_IN_MEMORY."""

    def __init__(self) -> None:
        self._file = _new_file()
        self.size = 0

    def receive(self, stream: Any) -> None:
        """Read a request's stream. Raises NotJson, DiskFull or RequestEntityTooLarge."""
        while chunk := _read_chunk(stream):
            self._write(chunk)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def rewind(self) -> None:
        self._file.seek(0)

    def text(self) -> Text:
        """Return the body. A file is mapped, not loaded into memory."""
        self.rewind()
        if self.size <= MAX_BYTES_IN_MEMORY:
            return self._file.read()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def cut(self, parts: Iterable[Value]) -> None:
        """Remove parts of the body. They must be sorted and must not overlap."""
        text, end = memoryview(self.text()), 0
        self.close()
        self._file, self.size = _new_file(), 0
        for part in parts:
            self._write(text[end : part.start])
            end = part.end
        self._write(text[end:])

    def close(self) -> None:
        self._file.close()

    def _write(self, chunk: bytes | memoryview) -> None:
        try:
            self._file.write(chunk)
        except OSError as error:
            log.error("Could not store a request's body: %s", first_line(error))
            raise DiskFull() from None
        self.size += len(chunk)


def _read_chunk(stream: Any) -> bytes:
    try:
        return stream.read(CHUNK_BYTES)
    except HTTPException:
        raise
    except Exception:
        # The client disconnected, or sent a malformed chunk.
        raise NotJson("The body ended before its declared length.") from None


def _new_file() -> Any:
    return SpooledTemporaryFile(max_size=MAX_BYTES_IN_MEMORY)
