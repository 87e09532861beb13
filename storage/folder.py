"""Bundles in a folder of this machine, with uploads that come to this service itself."""

import errno
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from storage.base import (
    CHUNK,
    LARGEST_BUNDLE,
    Full,
    Incomplete,
    LengthRequired,
    Missing,
    Readable,
    Storage,
    TooLarge,
    Unavailable,
    is_object_key,
)

_EXPIRES = re.compile("[0-9]{1,12}", re.ASCII)


class FolderStorage(Storage):
    """A folder of files. Uploads come to this service itself, to an address that authorises itself.

    folder -- made when the first address for a bundle is given out; if it is gone later, it is away
    base_url -- the service's public address, without a slash at its end
    secret -- gives the key of the signatures, at least 32 random bytes; it has to be the same in all processes and
        after a restart, and is asked for with each signature
    """

    def __init__(self, folder: Path, base_url: str, secret: Callable[[], bytes]):
        self.folder = folder
        self.base_url = base_url
        self._secret = secret

    def upload_url(self, object_key: str, expires_at: datetime) -> str:
        with self._reached():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        expires = str(int(expires_at.timestamp()))
        signature = self._signature(object_key, expires)
        return f"{self.base_url}/v1/bundles/{object_key}?expires={expires}&signature={signature}"

    def check_signature(self, object_key: str, expires: str, signature: str, now: datetime) -> bool:
        """Whether the parameters of a PUT are those of an address that was given out and has not expired."""
        if not is_object_key(object_key) or not _EXPIRES.fullmatch(expires):
            return False
        expected = self._signature(object_key, expires)
        same = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
        return same and now.timestamp() < int(expires)

    def receive(self, object_key: str, stream: Readable, content_length: int | None) -> None:
        """Store the body of a PUT, in one piece or not at all; of several PUTs the last one to end stays.

        stream -- gives the body, and nothing once the connection has ended
        content_length -- as the request told it, None if it did not
        Raises LengthRequired, TooLarge before anything is read, Incomplete, and Full or Unavailable where the disk
        does not take it.
        """
        if content_length is None or content_length < 0:
            raise LengthRequired("The upload must tell its length in Content-Length.")
        if content_length > LARGEST_BUNDLE:
            raise TooLarge("The bundle is larger than 128 MiB.")
        path = self._path(object_key)
        part = path.with_name(f"{object_key}.{secrets.token_hex(8)}.part")
        with self._reached():
            try:
                _write(part, stream, content_length)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)

    def open(self, object_key: str) -> Readable:
        with self._reached():
            return self._path(object_key).open("rb")

    def size(self, object_key: str) -> int:
        with self._reached():
            return self._path(object_key).stat().st_size

    def delete(self, object_key: str) -> None:
        with suppress(Missing), self._reached():
            path = self._path(object_key)
            path.unlink(missing_ok=True)
            # Not `glob`, which finds nothing in a folder that is away.
            for name in os.listdir(self.folder):
                if name.startswith(f"{object_key}.") and name.endswith(".part"):
                    (self.folder / name).unlink(missing_ok=True)

    def check_writable(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # It never has a name, so that nothing is left, not even by a process that is killed.
            with tempfile.TemporaryFile(dir=self.folder) as file:
                file.write(b"?")
                file.flush()
        except OSError as error:
            raise Unavailable(
                f"The folder of bundles cannot be written to: {error.strerror or error}."
            ) from error

    def remove_leftovers(self, before: datetime) -> int:
        """Remove what uploads left that ended with their process; only files untouched since then. Returns how many."""
        with self._reached():
            old = [part for part in self.folder.glob("*.part") if _touched_at(part) < before.timestamp()]
            for part in old:
                part.unlink(missing_ok=True)
        return len(old)

    def _path(self, object_key: str) -> Path:
        if not is_object_key(object_key):
            raise Missing("There is no such bundle.")
        return self.folder / object_key

    def _signature(self, object_key: str, expires: str) -> str:
        content = f"PUT\n{object_key}\n{expires}".encode()
        return hmac.new(self._secret(), content, hashlib.sha256).hexdigest()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """The system's errors as ours: a file that is not there is Missing, no room is Full, and
        all else means that the folder is away."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self.folder.is_dir():
                raise Missing("There is no such bundle.") from None
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Full("The disk is full.") from error
            raise Unavailable("The folder of bundles cannot be used.") from error


def _touched_at(part: Path) -> float:
    """When it was written to; a moment to come for one that has just gone."""
    try:
        return part.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _write(part: Path, stream: Readable, length: int) -> None:
    with part.open("xb") as file:
        rest = length
        while rest and (chunk := _piece(stream, min(rest, CHUNK))):
            file.write(chunk)
            rest -= len(chunk)
        if rest:
            raise Incomplete("The upload broke off before its end.")
        # The answer says that the bundle is safe, so it has to be on the disk under its name.
        file.flush()
        os.fsync(file.fileno())


def _piece(stream: Readable, size: int) -> bytes:
    try:
        return stream.read(size)
    except (OSError, ValueError):
        # A connection that was reset, or that gunicorn could not make sense of.
        raise Incomplete("The upload broke off before its end.") from None
