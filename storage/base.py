"""The interface to bundles of code, the form of their keys, and what can go wrong with them."""

import hashlib
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

LARGEST_BUNDLE = 128 * 1024 * 1024
CONTENT_TYPE = "application/gzip"
CHUNK = 256 * 1024

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OBJECT_KEY = re.compile(rf"{_UUID}\.[0-9a-f]{{32}}\.tar\.gz", re.ASCII)


class StorageError(Exception):
    """What can go wrong with a bundle; the message is a sentence for the caller."""


class Missing(StorageError):
    """There is no object of this key."""


class LengthRequired(StorageError):
    """An upload did not tell its length in Content-Length (411)."""


class TooLarge(StorageError):
    """An object has more than LARGEST_BUNDLE bytes (413)."""


class Incomplete(StorageError):
    """An upload broke off before the length that it had told (400)."""


class Full(StorageError):
    """The disk has no room for an upload (507)."""


class Unavailable(StorageError):
    """The store does not answer, or refuses this service (503)."""


class Readable(Protocol):
    """What `open` returns: a stream of bytes that is read once and closed."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


def new_object_key(session_id: str) -> str:
    """A key for one upload of a session (a UUID, lower case); nobody can guess another one."""
    return f"{session_id}.{secrets.token_hex(16)}.tar.gz"


def is_object_key(text: str) -> bool:
    """Whether a text has the form of our keys; no other form is ever made a path or a name in the store."""
    return _OBJECT_KEY.fullmatch(text) is not None


class Storage(ABC):
    """Bundles by their object keys. A key of another form is Missing; only StorageErrors come out of here."""

    @abstractmethod
    def upload_url(self, object_key: str, expires_at: datetime) -> str:
        """An address to which the client can PUT this one object until then, any number of times, without a
        credential; the header Content-Type must be CONTENT_TYPE."""

    @abstractmethod
    def open(self, object_key: str) -> Readable:
        """The object's bytes as a stream, to be closed by the caller; Missing if it is not there."""

    @abstractmethod
    def size(self, object_key: str) -> int:
        """The object's number of bytes; Missing if it is not there."""

    @abstractmethod
    def delete(self, object_key: str) -> None:
        """Remove the object and what is left of broken uploads to it; nothing happens if it is not there."""

    @abstractmethod
    def check_writable(self) -> None:
        """Try out whether a bundle could be stored now, leaving nothing new behind; Unavailable if not. Quick, also
        where the store does not answer."""

    def remove_leftovers(self, before: datetime) -> int:
        """Remove what uploads left that ended with their process; only what is older. Returns how many. A store that
        takes an object whole or not at all has none."""
        return 0

    def exists(self, object_key: str) -> bool:
        try:
            self.size(object_key)
        except Missing:
            return False
        return True

    def size_and_sha256(self, object_key: str) -> tuple[int, str]:
        """Bytes and lower-case hex SHA-256, read as a stream.

        Raises Missing, and TooLarge without reading an object of more than LARGEST_BUNDLE bytes.
        """
        if self.size(object_key) > LARGEST_BUNDLE:
            raise TooLarge("The bundle is larger than 128 MiB.")
        size, digest = 0, hashlib.sha256()
        for chunk in self.chunks(object_key):
            size += len(chunk)
            digest.update(chunk)
        return size, digest.hexdigest()

    def chunks(self, object_key: str) -> Iterator[bytes]:
        """The object's bytes piece by piece, as the body of an answer. Missing comes at once, before the first piece
        is asked for."""
        return _chunks(self.open(object_key))


def _chunks(stream: Readable) -> Iterator[bytes]:
    try:
        while chunk := _piece(stream):
            yield chunk
    finally:
        stream.close()


def _piece(stream: Readable) -> bytes:
    try:
        return stream.read(CHUNK)
    except OSError as error:
        raise Unavailable("The bundle cannot be read.") from error
