"""Read uploaded zip archives and gzip-compressed tars within limits, and write archives in one form."""

import gzip
import io
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO, NamedTuple

from rules.gunzip import DAMAGED, MEGABYTE, BoundedGunzip, ListingLimits, ListingStopped, read_headers
from rules.plain_text import one_line

ZIP, TAR = "zip", "tar.gz"
MAX_PATH_BYTES = 400
MAX_DIRECTORY_BYTES = 4 * MEGABYTE  # of a zip archive, which zipfile reads into memory
MAX_SECONDS = 30.0  # for a tar
MAX_SHOWN_CHARACTERS = 200
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\\\]")
_DRIVE = re.compile("[A-Za-z]:")
# A zip archive's last record: signature, counts, size of the directory. A comment can follow.
_END, _END_BYTES, _MAX_COMMENT_BYTES = b"PK\x05\x06", 22, 65_535
_ZIP64_LOCATOR, _LOCATOR_BYTES = b"PK\x06\x07", 20
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SPECIAL = "is a link or a special file; only files and folders are allowed"
_DAMAGED_ZIP = "The archive is not a zip archive, or it is damaged."


class UnreadableArchive(Exception):
    """The archive cannot be read. The message is the reason, for people."""


class Limits(NamedTuple):
    """The number of entries, and bytes of all files and of one, unpacked."""

    files: int
    bytes: int
    file_bytes: int


class ArchiveFile(NamedTuple):
    """A file in an archive. The path is relative, without `.` and `..`."""

    path: str
    is_executable: bool
    content: bytes


class _Entry(NamedTuple):
    """An entry. `problem` says why it is rejected, `read` returns its `size` bytes."""

    name: str
    mode: int
    is_folder: bool
    size: int
    problem: str | None
    read: Callable[[], bytes]


def read_files(file: IO[bytes], format: str, limits: Limits) -> Iterator[ArchiveFile]:
    """Yield the files of an untrusted archive, in its order, from its start. Raises UnreadableArchive.

    format -- ZIP or TAR
    """
    file.seek(0)
    paths: set[str] = set()
    folders: set[str] = set()
    bytes_left = limits.bytes
    try:
        for count, entry in enumerate(_read_zip(file) if format == ZIP else _read_tar(file, limits)):
            if count == limits.files:
                raise UnreadableArchive(f"The archive contains more than {limits.files} entries.")
            path = check_path(entry.name)
            if entry.problem:
                raise _error(path, entry.problem)
            if entry.is_folder or path.startswith("__MACOSX/"):  # macOS adds it to zip archives
                continue
            if not path or path in paths:
                raise _error(path, "appears twice" if path else "is not the name of a file")
            paths.add(path)
            parents = [path[: match.start()] for match in re.finditer("/", path)]
            folders.update(parents)
            if path in folders or not paths.isdisjoint(parents):
                raise _error(path, "is both a file and a folder")
            if entry.size > limits.file_bytes:
                raise _error(path, f"is larger than {limits.file_bytes // MEGABYTE} MiB")
            bytes_left -= entry.size
            if bytes_left < 0:
                size = f"{limits.bytes // MEGABYTE} MiB"
                raise UnreadableArchive(f"The archive is larger than {size} when unpacked.")
            yield ArchiveFile(path, bool(entry.mode & stat.S_IXUSR), entry.read())
    except ListingStopped as problem:
        raise UnreadableArchive(str(problem)) from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError):
        raise UnreadableArchive(_DAMAGED_ZIP if format == ZIP else DAMAGED) from None


def _read_tar(file: IO[bytes], limits: Limits) -> Iterator[_Entry]:
    overhead = limits.files * 8 * tarfile.BLOCKSIZE  # headers, and the rest of each last block
    size = limits.bytes + overhead
    contents = BoundedGunzip(file, ListingLimits(content_bytes=size, seconds=MAX_SECONDS))
    for header in read_headers(contents):
        is_safe = header.isdir() or (header.isreg() and not header.issparse())
        problem = None if is_safe else _SPECIAL
        read = partial(contents.read_content, header.size)
        yield _Entry(header.name, header.mode, header.isdir(), header.size, problem, read)


def _read_zip(file: IO[bytes]) -> Iterator[_Entry]:
    _require_small_directory(file)
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            mode, problem = entry.external_attr >> 16, None
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                problem = _SPECIAL
            elif entry.flag_bits & 1 or entry.compress_type not in _ZIP_METHODS:
                problem = "is encrypted or compressed in an unsupported way"
            read = partial(_read_member, archive, entry)
            yield _Entry(entry.filename, mode, entry.is_dir(), entry.file_size, problem, read)


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Read as many bytes as the directory says. Without a size, zipfile would unpack all of a larger file."""
    with archive.open(entry) as stream:
        return stream.read(entry.file_size + 1)


def _require_small_directory(file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES - _MAX_COMMENT_BYTES - _LOCATOR_BYTES))
    tail = file.read()
    for end in re.finditer(re.escape(_END), tail):  # zipfile can choose any of them
        # A zip64 archive's numbers are elsewhere.
        if tail.startswith(_ZIP64_LOCATOR, max(0, end.start() - _LOCATOR_BYTES)):
            raise UnreadableArchive("The archive is a zip64 archive, which is not supported.")
        if int.from_bytes(tail[end.start() + 12 : end.start() + 16], "little") > MAX_DIRECTORY_BYTES:
            raise UnreadableArchive("The archive contains too many entries.")


def check_path(name: str) -> str:
    """Return a path without `.` and empty parts. Raises UnreadableArchive for an unsafe one."""
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
    if len(path.encode()) > MAX_PATH_BYTES or any(len(part.encode()) > 255 for part in parts):
        raise _error(name, f"is longer than {MAX_PATH_BYTES} bytes, or a name in it than 255")
    return path


def _error(name: str, problem: str) -> UnreadableArchive:
    return UnreadableArchive(f"`{one_line(name, MAX_SHOWN_CHARACTERS)}` {problem}.")


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
