"""Read the files of a zip archive or a gzip-compressed tar, within limits."""

import tarfile
import zipfile
from collections.abc import Iterator
from typing import IO, NamedTuple


class Limits(NamedTuple):
    files: int
    bytes: int  # all files, uncompressed
    file_bytes: int


class ArchiveFile(NamedTuple):
    path: str
    is_executable: bool
    content: bytes


class UnreadableArchive(Exception):
    """The archive cannot be read. The message is the reason."""


def read_files(file: IO[bytes], format: str, limits: Limits) -> Iterator[ArchiveFile]:
    """Yield the archive's files. Raises UnreadableArchive."""
    file.seek(0)
    count = size = 0
    for entry in (_read_zip if format == "zip" else _read_tar)(file):
        count, size = count + 1, size + len(entry.content)
        if count > limits.files or size > limits.bytes or len(entry.content) > limits.file_bytes:
            raise UnreadableArchive("The archive is larger than the limits.")
        if entry.path.startswith("/") or ".." in entry.path.split("/"):
            raise UnreadableArchive(f"The path {entry.path} is not allowed.")
        yield entry


def _read_zip(file: IO[bytes]) -> Iterator[ArchiveFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield ArchiveFile(
                        info.filename, bool(info.external_attr >> 16 & 0o100), archive.read(info)
                    )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise UnreadableArchive("The archive is damaged.") from None


def _read_tar(file: IO[bytes]) -> Iterator[ArchiveFile]:
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            for info in archive:
                if info.isfile():
                    content = archive.extractfile(info)
                    yield ArchiveFile(info.name, bool(info.mode & 0o100), content.read() if content else b"")
                elif not info.isdir():
                    raise UnreadableArchive(f"{info.name} is not a file or a folder.")
    except (tarfile.TarError, EOFError, OSError):
        raise UnreadableArchive("The archive is damaged.") from None
