"""The storage interface, and the format of object keys."""

import errno
import hashlib
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import IO, Any, Protocol

from errors import ApiError, DiskFull, Incomplete, LengthRequired, StoreUnavailable, TooLarge

MAX_BUNDLE_BYTES = 128 * 1024 * 1024
# The name of the marker (models/storage_marker.py).
MARKER = "proofstone-installation"
CONTENT_TYPE = "application/gzip"
CHUNK_BYTES = 256 * 1024

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OBJECT_KEY = re.compile(rf"{_UUID}\.[0-9a-f]{{32}}\.(?:tar\.gz|bundle|zip)", re.ASCII)


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


def new_object_key(session_id: str, suffix: str = "tar.gz") -> str:
    """Generate an unguessable key for an upload.

    session_id -- a lowercase UUID
    suffix -- `tar.gz`, `bundle` or `zip`
    """
    return f"{session_id}.{secrets.token_hex(16)}.{suffix}"


def is_object_key(value: str) -> bool:
    """Return whether a string has the format of an object key."""
    return _OBJECT_KEY.fullmatch(value) is not None


class Storage(ABC):
    """Stores bundles by object key.

    All methods raise StoreUnavailable, and NotFound for missing objects and malformed keys.
    """

    @abstractmethod
    def upload_url(self, object_key: str, expires_at: datetime) -> str:
        """Sign a URL that accepts PUT requests with `Content-Type: application/gzip` until it expires."""

    @abstractmethod
    def read_marker(self) -> str | None:
        """Return the text of the store's marker, or None if it has none."""

    @abstractmethod
    def write_marker(self, text: str) -> None:
        """Mark the store. Creates a missing folder."""

    @abstractmethod
    def receive(self, object_key: str, stream: Any, content_length: int | None) -> str:
        """Store a request body atomically, and return its SHA-256.

        If requests overlap, the last one to finish wins.

        Raises LengthRequired or TooLarge before reading, and Incomplete, DiskFull or StoreUnavailable while storing.

        content_length -- from the request header; None if it is missing
        """

    @abstractmethod
    def open(self, object_key: str) -> Readable:
        """Open the object as a stream, which the caller closes."""

    @abstractmethod
    def size(self, object_key: str) -> int:
        """Return the object's size in bytes."""

    def copy(self, object_key: str, new_key: str) -> None:
        """Copy an object within the store. Later uploads to `object_key` do not change the copy.

        Raises TooLarge before copying an object above MAX_BUNDLE_BYTES.
        """
        self._require_size(object_key)
        self._copy(object_key, new_key)

    @abstractmethod
    def _copy(self, object_key: str, new_key: str) -> None: ...

    @abstractmethod
    def delete(self, object_key: str) -> None:
        """Delete the object and its partial uploads, if they exist."""

    @abstractmethod
    def check_writable(self) -> None:
        """Raise StoreUnavailable if the store rejects writes or does not respond within a few seconds."""

    @abstractmethod
    def delete_partial_uploads(self, before: datetime) -> None:
        """Delete partial uploads older than `before`, which killed processes left behind."""

    def size_and_sha256(self, object_key: str) -> tuple[int, str]:
        """Read the object and return its size and hex digest.

        Raises TooLarge before reading an object above MAX_BUNDLE_BYTES.
        """
        self._require_size(object_key)
        size, digest = 0, hashlib.sha256()
        for chunk in self.chunks(object_key):
            size += len(chunk)
            digest.update(chunk)
        return size, digest.hexdigest()

    def copy_to_file(self, object_key: str, file: IO[bytes]) -> None:
        """Write the object to an empty file, and return to the file's start."""
        file.writelines(self.chunks(object_key))
        file.seek(0)

    def _require_size(self, object_key: str) -> None:
        if self.size(object_key) > MAX_BUNDLE_BYTES:
            raise TooLarge("The bundle is larger than 128 MiB.")

    def chunks(self, object_key: str) -> Iterator[bytes]:
        """Stream the object. Raises NotFound immediately, not with the first chunk."""
        return _read_chunks(self.open(object_key))


def _read_chunks(stream: Readable) -> Iterator[bytes]:
    with closing(stream):
        try:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
        except OSError as error:
            raise StoreUnavailable("The bundle cannot be read.") from error


def translate_store_error(error: OSError) -> ApiError:
    return DiskFull() if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreUnavailable()


def validate_length(content_length: int | None) -> int:
    """Return the length if it is valid. Raises LengthRequired or TooLarge."""
    if content_length is None or content_length < 0:
        raise LengthRequired()
    if content_length > MAX_BUNDLE_BYTES:
        raise TooLarge()
    return content_length


def copy_body(stream: Any, length: int, file: IO[bytes]) -> str:
    """Copy a request body to a file, and return its SHA-256. Raises Incomplete if the body is too short."""
    digest = hashlib.sha256()
    while length:
        try:
            chunk = stream.read(min(length, CHUNK_BYTES))
        except (OSError, ValueError):  # the connection was reset, or gunicorn rejected a chunk
            raise Incomplete() from None
        if not chunk:
            raise Incomplete()
        file.write(chunk)
        digest.update(chunk)
        length -= len(chunk)
    return digest.hexdigest()
