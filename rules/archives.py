"""Read uploaded zip archives and gzip-compressed tars within limits, and write archives in one form."""

import gzip
import io
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

from rules.gunzip import DAMAGED, MEGABYTE, BoundedGunzip, ListingLimits, ListingStopped, read_headers
from rules.plain_text import one_line

ZIP, TAR = "zip", "tar.gz"
MAX_PATH_BYTES = 400
MAX_SHOWN_CHARACTERS = 200
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\\\]")
_DRIVE = re.compile("[A-Za-z]:")
# A zip archive's last record: signature, counts, size of the directory. A comment can follow.
_END, _END_BYTES, _MAX_COMMENT_BYTES = b"PK\x05\x06", 22, 65_535
_ZIP64_LOCATOR, _LOCATOR_BYTES = b"PK\x06\x07", 20
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED_ZIP = "The archive is not a zip archive, or it is damaged."


class ArchiveError(Exception):
    """The archive cannot be read. The message is the reason, for people."""


class Limits(NamedTuple):
    content_bytes: int  # of all files, unpacked
    file_bytes: int = 20 * MEGABYTE
    entries: int = 20_000
    path_bytes: int = MAX_PATH_BYTES
    directory_bytes: int = 4 * MEGABYTE  # of a zip archive's directory, which zipfile reads into memory
    seconds: float = 30.0


class ArchiveFile(NamedTuple):
    """A file in an archive. The path is relative, without `.` and `..`."""

    path: str
    is_executable: bool
    content: bytes


def read_files(file: IO[bytes], format: str, limits: Limits) -> Iterator[ArchiveFile]:
    """Yield the files of an untrusted archive, in its order. Raises ArchiveError.

    format -- ZIP or TAR
    """
    paths: set[str] = set()
    folders: set[str] = set()
    try:
        for each in (_read_zip if format == ZIP else _read_tar)(file, limits):
            if each.path in paths:
                raise _error(each.path, "appears twice")
            paths.add(each.path)
            parents = [each.path[: match.start()] for match in re.finditer("/", each.path)]
            folders.update(parents)
            if each.path in folders or not paths.isdisjoint(parents):
                raise _error(each.path, "is both a file and a folder")
            yield each
    except ListingStopped as problem:
        raise ArchiveError(str(problem)) from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError):
        raise ArchiveError(_DAMAGED_ZIP if format == ZIP else DAMAGED) from None


def _read_tar(file: IO[bytes], limits: Limits) -> Iterator[ArchiveFile]:
    blocks = limits.entries * 8 * tarfile.BLOCKSIZE  # headers, and the rest of each last block
    names = limits.entries * limits.path_bytes
    contents = BoundedGunzip(
        file, ListingLimits(limits.entries, names, limits.content_bytes + blocks, limits.seconds)
    )
    bytes_left = limits.content_bytes
    for count, header in enumerate(read_headers(contents)):
        _require_count(count, limits)
        path = check_path(header.name, limits.path_bytes)
        if header.isdir():
            continue
        if not header.isreg() or header.issparse():
            raise _error(path, "is a link or a special file; only files and folders are allowed")
        bytes_left = _require_size(path, header.size, bytes_left, limits)
        yield _file(path, header.mode, contents.read_content(header.size))


def _read_zip(file: IO[bytes], limits: Limits) -> Iterator[ArchiveFile]:
    _require_small_directory(file, limits)
    with zipfile.ZipFile(file) as archive:
        bytes_left = limits.content_bytes
        for count, entry in enumerate(archive.infolist()):
            _require_count(count, limits)
            path, mode = check_path(entry.filename, limits.path_bytes), entry.external_attr >> 16
            if entry.is_dir():
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise _error(path, "is a link or a special file; only files and folders are allowed")
            if entry.flag_bits & 1 or entry.compress_type not in _ZIP_METHODS:
                raise _error(path, "is encrypted or compressed in an unsupported way")
            with archive.open(entry) as stream:
                content = stream.read(min(bytes_left, limits.file_bytes) + 1)
            bytes_left = _require_size(path, len(content), bytes_left, limits)
            yield _file(path, mode, content)


def _require_small_directory(file: IO[bytes], limits: Limits) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES - _MAX_COMMENT_BYTES - _LOCATOR_BYTES))
    tail = file.read()
    for end in re.finditer(re.escape(_END), tail):  # zipfile can choose any of them
        # A zip64 archive's numbers are elsewhere.
        if tail.startswith(_ZIP64_LOCATOR, max(0, end.start() - _LOCATOR_BYTES)):
            raise ArchiveError("The archive is a zip64 archive, which is not supported.")
        if int.from_bytes(tail[end.start() + 12 : end.start() + 16], "little") > limits.directory_bytes:
            raise ArchiveError(
                f"The archive contains more than {limits.entries} entries, or very long names."
            )


def check_path(name: str, max_bytes: int) -> str:
    """Return a path without `.` and empty parts. Raises ArchiveError for an unsafe one."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    path = "/".join(parts)
    if _CONTROL.search(name):
        raise _error(name, "contains a backslash or is not plain text")
    if name.startswith("/") or _DRIVE.match(name):
        raise _error(name, "is an absolute path")
    if ".." in parts:
        raise _error(name, "points outside the folder")
    if ".git" in map(str.lower, parts):
        raise _error(name, "is in a .git folder; leave that out")
    if len(path.encode()) > max_bytes or any(len(part.encode()) > 255 for part in parts):
        raise _error(name, f"is longer than {max_bytes} bytes, or a name in it than 255")
    return path


def _require_count(count: int, limits: Limits) -> None:
    if count >= limits.entries:
        raise ArchiveError(f"The archive contains more than {limits.entries} entries.")


def _require_size(path: str, size: int, bytes_left: int, limits: Limits) -> int:
    """Return the bytes that are left after a file of this size."""
    if size > limits.file_bytes:
        raise _error(path, f"is larger than {limits.file_bytes // MEGABYTE} MiB")
    if size > bytes_left:
        raise ArchiveError(
            f"The archive is larger than {limits.content_bytes // MEGABYTE} MiB when unpacked."
        )
    return bytes_left - size


def _file(path: str, mode: int, content: bytes) -> ArchiveFile:
    if not path:
        raise ArchiveError("The archive contains a file without a name.")
    return ArchiveFile(path, bool(mode & stat.S_IXUSR), content)


def _error(name: str, problem: str) -> ArchiveError:
    return ArchiveError(f"`{one_line(name, MAX_SHOWN_CHARACTERS)}` {problem}.")


def write_tar(files: Iterable[ArchiveFile], output: IO[bytes]) -> None:
    """Write a gzip-compressed tar. The same files give the same bytes."""
    with (
        gzip.GzipFile("", "wb", 6, output, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, is_executable, content in sorted(files):
            header = tarfile.TarInfo(path)
            header.size, header.mode = len(content), 0o755 if is_executable else 0o644
            archive.addfile(header, io.BytesIO(content))
