"""The backup file format: a tar of the database, its bundles and a manifest.

Members in order: `database.sqlite3`, `bundles/<object key>` for each bundle, `manifest.json`. A file that does not end
with the manifest is incomplete.
"""

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from models import clock
from ops import OperationError
from rules.timestamps import format_timestamp
from storage import is_object_key

DATABASE = "database.sqlite3"
BUNDLES = "bundles/"
MANIFEST = "manifest.json"
FORMAT = 1


def write_archive(file: IO[bytes], database: Path, bundles: list[Path] | None) -> int:
    """Write a complete archive. Returns the number of bundles in it.

    bundles -- files; unused or erased uploads can be missing. None if bundles are in an object store
    """
    count = 0
    with tarfile.open(fileobj=file, mode="w") as tar:
        with database.open("rb") as source:
            _add(tar, DATABASE, source)
        for bundle in bundles or ():
            with suppress(FileNotFoundError), bundle.open("rb") as source:
                _add(tar, BUNDLES + bundle.name, source)
                count += 1
        manifest = {
            "format": FORMAT,
            "createdAt": format_timestamp(clock.now()),
            "sha256": _sha256(database),
            "bundles": count,
            "bundlesInFolder": bundles is not None,
        }
        _add(tar, MANIFEST, io.BytesIO(json.dumps(manifest).encode()))
    return count


def _add(tar: tarfile.TarFile, name: str, source: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size = source.seek(0, os.SEEK_END)
    member.mode, member.mtime = 0o600, int(clock.now().timestamp())
    source.seek(0)
    tar.addfile(member, source)


@contextmanager
def open_archive(path: Path) -> Iterator["Archive"]:
    """Open an archive. Raises OperationError if it is not complete."""
    try:
        with tarfile.open(path, "r:") as tar:
            yield Archive(path, tar)
    except tarfile.TarError as error:
        raise OperationError(f"{path} is not a complete backup: {error}.") from None


class Archive:
    """A complete archive, open for reading. `bundles` contains its bundles' object keys."""

    def __init__(self, path: Path, tar: tarfile.TarFile):
        self._tar = tar
        names = tar.getnames()
        if names[:1] != [DATABASE] or names[-1:] != [MANIFEST]:
            raise OperationError(f"{path} is not a complete Proofstone backup.")
        self.bundles = [name.removeprefix(BUNDLES) for name in names[1:-1]]
        for key, member in zip(self.bundles, tar.getmembers()[1:-1], strict=True):
            if member.name != BUNDLES + key or not is_object_key(key) or not member.isreg():
                raise OperationError(f"{path} is not a Proofstone backup: it contains {member.name}.")
        self.manifest: dict[str, Any] = json.load(self._open_member(MANIFEST))
        if self.manifest["format"] != FORMAT:
            raise OperationError("The backup is from a newer version of Proofstone. Use that version.")
        if self.manifest["bundles"] != len(self.bundles):
            raise OperationError(f"{path} is not a complete backup: bundles are missing.")

    def extract_database(self, path: Path) -> None:
        with path.open("xb") as file:
            shutil.copyfileobj(self._open_member(DATABASE), file)
        if _sha256(path) != self.manifest["sha256"]:
            raise OperationError("The database in the backup is damaged: its SHA-256 does not match.")

    def extract_bundle(self, key: str, file: IO[bytes]) -> None:
        shutil.copyfileobj(self._open_member(BUNDLES + key), file)

    def has_same_bundle(self, key: str, path: Path) -> bool:
        return path.exists() and _sha256(path) == _digest(self._open_member(BUNDLES + key))

    def _open_member(self, name: str) -> IO[bytes]:
        reader = self._tar.extractfile(name)
        assert reader is not None
        return reader


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return _digest(file)


def _digest(file: Any) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()
