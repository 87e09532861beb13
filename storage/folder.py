"""Bundles in a local folder, uploaded to this service by signed URLs."""

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
    CHUNK_BYTES,
    MAX_BUNDLE_BYTES,
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
    """Bundles as files in one folder.

    folder -- created with the first upload URL; if it is missing later, the storage is unavailable
    base_url -- the service's public URL, without a trailing slash
    secret -- returns the signing key, at least 32 random bytes, the same in all processes and after a restart
    """

    def __init__(self, folder: Path, base_url: str, secret: Callable[[], bytes]):
        self.folder = folder
        self.base_url = base_url
        self._secret = secret

    def upload_url(self, object_key: str, expires_at: datetime) -> str:
        with self._translated_errors():
            self._create_folder()
        expires = str(int(expires_at.timestamp()))
        signature = self._sign(object_key, expires)
        return f"{self.base_url}/v1/bundles/{object_key}?expires={expires}&signature={signature}"

    def is_signed(self, object_key: str, expires: str, signature: str, now: datetime) -> bool:
        """Check the parameters of an upload URL: signed by this service and not expired."""
        if not is_object_key(object_key) or not _EXPIRES.fullmatch(expires):
            return False
        expected = self._sign(object_key, expires)
        is_authentic = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
        return is_authentic and now.timestamp() < int(expires)

    def receive(self, object_key: str, stream: Readable, content_length: int | None) -> None:
        """Store the body of a PUT atomically; of concurrent PUTs, the last to finish wins.

        content_length -- from the request header, None if it is missing
        Raises LengthRequired or TooLarge before reading; Incomplete, Full or Unavailable while storing.
        """
        if content_length is None or content_length < 0:
            raise LengthRequired("The upload requires a Content-Length header.")
        if content_length > MAX_BUNDLE_BYTES:
            raise TooLarge("The bundle is larger than 128 MiB.")
        path = self._path(object_key)
        part = path.with_name(f"{object_key}.{secrets.token_hex(8)}.part")
        with self._translated_errors():
            try:
                _write(part, stream, content_length)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)

    def open(self, object_key: str) -> Readable:
        with self._translated_errors():
            return self._path(object_key).open("rb")

    def size(self, object_key: str) -> int:
        with self._translated_errors():
            return self._path(object_key).stat().st_size

    def delete(self, object_key: str) -> None:
        with suppress(Missing), self._translated_errors():
            self._path(object_key).unlink(missing_ok=True)
            # listdir fails if the folder is missing; glob would find nothing.
            for name in os.listdir(self.folder):
                if name.startswith(f"{object_key}.") and name.endswith(".part"):
                    (self.folder / name).unlink(missing_ok=True)

    def check_writable(self) -> None:
        try:
            self._create_folder()
            # Unnamed, so a killed process leaves nothing behind.
            with tempfile.TemporaryFile(dir=self.folder) as file:
                file.write(b"?")
                file.flush()
        except OSError as error:
            raise Unavailable(f"The bundle folder is not writable: {error.strerror or error}.") from error

    def delete_partial_uploads(self, before: datetime) -> None:
        with self._translated_errors():
            for part in self.folder.glob("*.part"):
                with suppress(FileNotFoundError):  # the upload has just finished
                    if part.stat().st_mtime < before.timestamp():
                        part.unlink()

    def _create_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _path(self, object_key: str) -> Path:
        if not is_object_key(object_key):
            raise Missing("No such bundle.")
        return self.folder / object_key

    def _sign(self, object_key: str, expires: str) -> str:
        content = f"PUT\n{object_key}\n{expires}".encode()
        return hmac.new(self._secret(), content, hashlib.sha256).hexdigest()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self.folder.is_dir():
                raise Missing("No such bundle.") from None
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Full("The disk is full.") from error
            raise Unavailable("The bundle folder is unavailable.") from error


def _write(part: Path, stream: Readable, length: int) -> None:
    with part.open("xb") as file:
        remaining = length
        while remaining and (chunk := _read_upload(stream, min(remaining, CHUNK_BYTES))):
            file.write(chunk)
            remaining -= len(chunk)
        if remaining:
            raise Incomplete("The upload ended before its Content-Length.")
        # The response confirms that the bundle is stored durably.
        file.flush()
        os.fsync(file.fileno())


def _read_upload(stream: Readable, size: int) -> bytes:
    try:
        return stream.read(size)
    except (OSError, ValueError):  # connection reset, or invalid for gunicorn
        raise Incomplete("The upload ended before its Content-Length.") from None
