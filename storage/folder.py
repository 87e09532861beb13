"""Storage in a local folder, with signed upload URLs for this service."""

import hashlib
import hmac
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from errors import NotFound, StoreUnavailable
from storage.atomic_file import atomic_file
from storage.base import (
    MARKER,
    Readable,
    Storage,
    copy_body,
    is_object_key,
    translate_store_error,
    validate_length,
)

_EXPIRES = re.compile("[0-9]{1,12}", re.ASCII)


class FolderStorage(Storage):
    """Stores bundles as files in one folder.

    folder -- created only with its marker: files in place of an unmounted volume would be lost
    base_url -- the service's public URL, without a trailing slash
    secret -- returns the signing key: at least 32 random bytes, the same in all processes and across restarts
    """

    def __init__(self, folder: Path, base_url: str, secret: Callable[[], bytes]):
        self.folder = folder
        self.base_url = base_url
        self._secret = secret

    def upload_url(self, object_key: str, expires_at: datetime) -> str:
        expires = str(int(expires_at.timestamp()))
        signature = self._sign(object_key, expires)
        return f"{self.base_url}/v1/bundles/{object_key}?expires={expires}&signature={signature}"

    def is_signed(self, object_key: str, expires: str, signature: str, now: datetime) -> bool:
        """Return whether an upload URL was signed by this service and has not expired."""
        if not is_object_key(object_key) or not _EXPIRES.fullmatch(expires):
            return False
        expected = self._sign(object_key, expires)
        is_valid = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
        return is_valid and now.timestamp() < int(expires)

    def read_marker(self) -> str | None:
        try:
            return (self.folder / MARKER).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(
                f"The bundle folder is not readable: {error.strerror or error}."
            ) from error

    def write_marker(self, text: str) -> None:
        with self._translate_errors():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with atomic_file(self.folder / MARKER) as file:
                file.write(text.encode())

    def receive(self, object_key: str, stream: Any, content_length: int | None) -> str:
        length = validate_length(content_length)
        with self._translate_errors(), atomic_file(self._path(object_key)) as file:
            return copy_body(stream, length, file)

    def open(self, object_key: str) -> Readable:
        with self._translate_errors():
            return self._path(object_key).open("rb")

    def size(self, object_key: str) -> int:
        with self._translate_errors():
            return self._path(object_key).stat().st_size

    def _copy(self, object_key: str, new_key: str) -> None:
        source, target = self._path(object_key), self._path(new_key)
        with self._translate_errors():
            try:
                # A later upload replaces the directory entry, not the file.
                os.link(source, target)
            except FileNotFoundError:
                raise
            except OSError:  # the file system has no hard links
                with source.open("rb") as content, atomic_file(target) as file:
                    shutil.copyfileobj(content, file)

    def delete(self, object_key: str) -> None:
        with suppress(NotFound), self._translate_errors():
            self._path(object_key).unlink(missing_ok=True)
            # Unlike glob, listdir fails if the folder is missing.
            for name in os.listdir(self.folder):
                if name.startswith(f"{object_key}.") and name.endswith(".part"):
                    (self.folder / name).unlink(missing_ok=True)

    def check_writable(self) -> None:
        try:
            with tempfile.TemporaryFile(dir=self.folder) as file:
                file.write(b"?")
                file.flush()
        except OSError as error:
            raise StoreUnavailable(
                f"The bundle folder is not writable: {error.strerror or error}."
            ) from error

    def delete_partial_uploads(self, before: datetime) -> None:
        with self._translate_errors():
            for part in self.folder.glob("*.part"):
                with suppress(FileNotFoundError):  # the upload finished after the listing
                    if part.stat().st_mtime < before.timestamp():
                        part.unlink()

    def _path(self, object_key: str) -> Path:
        if not is_object_key(object_key):
            raise NotFound()
        return self.folder / object_key

    def _sign(self, object_key: str, expires: str) -> str:
        content = f"PUT\n{object_key}\n{expires}".encode()
        return hmac.new(self._secret(), content, hashlib.sha256).hexdigest()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self.folder.is_dir():
                raise NotFound() from None
            raise translate_store_error(error) from error
