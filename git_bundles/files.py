"""The files of a task's repository or a submission: read them from an archive, check, commit or export them."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

from dulwich.index import commit_tree
from dulwich.object_format import DEFAULT_OBJECT_FORMAT
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob, Commit, ObjectID, ShaFile
from dulwich.pack import full_unpacked_object, write_pack_data

from git_bundles import (
    MAX_FILES,
    MAX_INFLATED_BYTES,
    MAX_OBJECT_BYTES,
    MAX_PATH_BYTES,
    MAX_REPOSITORY_BYTES,
    MAX_ZIP_BYTES,
    MEGABYTE,
    TooLarge,
    Unreadable,
)
from git_bundles.objects import Objects, read_references
from git_bundles.pack import BLOB
from git_bundles.trees import LINK, SUBMODULE, TYPE, changed_files
from rules import archives
from rules.plain_text import one_line

GIT = "git"
LIMITS = archives.Limits(files=MAX_FILES, bytes=MAX_REPOSITORY_BYTES, file_bytes=MAX_OBJECT_BYTES)
EXECUTABLE, REGULAR = 0o100755, 0o100644
IDENTITY, MESSAGE = b"Proofstone <proofstone@localhost>", b"Start\n"
# 2026-01-01; zip programs reject times before 1980.
TIME = 1_767_225_600

# Modes and ids by path
Entries = dict[str, tuple[int, ObjectID]]


class File(NamedTuple):
    """A file or link; a link's content is its target. A submodule has no content."""

    path: str
    mode: int
    content: bytes

    @property
    def stays_inside(self) -> bool:
        """Return whether a link leads to a path in the repository. `..` after another link could lead anywhere."""
        target = self.content.decode("utf-8", "replace")
        parts = target.split("/")
        leading = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
        is_relative = target != "" and "\0" not in target and not target.startswith("/")
        is_simple = ".." not in parts[leading:] and len(self.content) <= MAX_PATH_BYTES
        return is_relative and is_simple and leading <= self.path.count("/")


def read_bundle(bundle: IO[bytes], has_large: bool = False) -> Callable[[], Iterator[File]]:
    """Read a bundle. Returns a function that yields the files of its HEAD.

    has_large -- whether files over MAX_OBJECT_BYTES are read, too
    """
    reference, _ = read_references(bundle)
    objects = Objects(bundle)
    entries = changed_files(objects, None, objects.get_tree_id(objects.peel(reference)))

    def files() -> Iterator[File]:
        for path, _, entry, _ in entries:
            if entry is None:
                continue
            try:
                content = objects.get(entry.name, BLOB) if entry.has_content else b""
            except TooLarge:
                large = objects.get_large(entry.name) if has_large else None
                if large is None:
                    raise Unreadable(f"{path} is larger than {MAX_OBJECT_BYTES // MEGABYTE} MiB.") from None
                content = large
            kind = entry.mode & TYPE
            mode = kind if kind in (LINK, SUBMODULE) else EXECUTABLE if entry.mode & 0o100 else REGULAR
            yield File(path, mode, content)

    return files


def read_archive(archive: IO[bytes], format: str) -> Callable[[], Iterator[File]]:
    """Return a function that yields the files of a zip or tar archive. Only one of them is in memory at a time."""

    def files() -> Iterator[File]:
        try:
            for path, is_executable, content in archives.read_files(archive, format, LIMITS):
                yield File(path, EXECUTABLE if is_executable else REGULAR, content)
        except archives.UnreadableArchive as problem:
            raise Unreadable(str(problem)) from None

    return files


def build(archive: IO[bytes], format: str, output: IO[bytes]) -> None:
    """Write a bundle with one commit of the archive's files.

    Reads the files twice, because a pack starts with the number of its objects.
    """
    files = read_bundle(archive) if format == GIT else read_archive(archive, format)
    entries = _read_entries(files())
    start = 0 if format == GIT else len(_root(entries))
    trees, commit = MemoryObjectStore(), Commit()
    blobs = [(path[start:].encode(), name, mode) for path, (mode, name) in entries.items()]
    commit.tree = commit_tree(trees, blobs)
    commit.author = commit.committer = IDENTITY
    commit.author_time = commit.commit_time = TIME
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = MESSAGE
    tree_names, missing = list(trees), {name for _, name, _ in blobs}
    count = 1 + len(tree_names) + len(missing)

    def objects() -> Iterator[ShaFile]:
        yield commit
        yield from (trees[name] for name in tree_names)
        for file in files():
            blob = Blob.from_string(file.content)
            if blob.id in missing:
                missing.remove(blob.id)
                yield blob

    output.write(b"# v2 git bundle\n%b HEAD\n%b refs/heads/main\n\n" % (commit.id, commit.id))
    records = map(full_unpacked_object, objects())
    write_pack_data(output.write, records, DEFAULT_OBJECT_FORMAT, num_records=count)


def _read_entries(files: Iterator[File]) -> Entries:
    """Return the files' modes and ids by path. Raises Unreadable unless a repository can contain all of them."""
    entries: Entries = {}
    bytes_left = MAX_REPOSITORY_BYTES
    for file in files:
        bytes_left -= len(file.content)
        if bytes_left < 0:  # one object can be at many paths
            raise _too_large(MAX_REPOSITORY_BYTES)
        if file.path in entries:  # as text; names that differ can have the same
            raise Unreadable(f"The archive contains {file.path} twice.")
        if file.mode == SUBMODULE:
            raise Unreadable(f"{file.path} is a submodule. Replace it with its files.")
        if file.mode == LINK and not file.stays_inside:
            raise Unreadable(f"{file.path} is a link that leaves the repository.")
        entries[file.path] = file.mode, Blob.from_string(file.content).id
    if not entries:
        raise Unreadable("The archive contains no files.")
    return entries


def _too_large(max_bytes: int) -> Unreadable:
    return Unreadable(f"The files are larger than {max_bytes // MEGABYTE} MiB in total.")


def _root(paths: Iterable[str]) -> str:
    """Return the folder, with a slash, that contains all files, or an empty string."""
    roots = {path.partition("/")[0] if "/" in path else "" for path in paths}
    root = roots.pop()
    return f"{root}/" if root and not roots else ""


def export(bundle: IO[bytes], output: IO[bytes]) -> None:
    """Write the files of a bundle's HEAD as a tar, without submodules and links that leave the repository."""
    bytes_left = MAX_INFLATED_BYTES
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in read_bundle(bundle, has_large=True)():
            bytes_left -= len(file.content)
            if bytes_left < 0:
                raise _too_large(MAX_INFLATED_BYTES)
            if file.mode == SUBMODULE or (file.mode == LINK and not file.stays_inside):
                continue
            entry = tarfile.TarInfo(file.path)
            entry.mtime, entry.mode = TIME, 0o755 if file.mode & 0o100 else 0o644
            if file.mode == LINK:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.content.decode("utf-8", "replace")
            else:
                entry.size = len(file.content)
            tar.addfile(entry, io.BytesIO(file.content))


def check_zip(archive: IO[bytes]) -> None:
    """Read all files of a submitted zip archive, which may contain links and a .git folder. Raises Unreadable."""
    with zipfile.ZipFile(archive) as opened:
        entries = [entry for entry in opened.infolist() if not entry.is_dir()]
        if not entries:
            raise Unreadable("The archive contains no files.")
        if sum(entry.file_size for entry in entries) > MAX_ZIP_BYTES:
            raise _too_large(MAX_ZIP_BYTES)
        for entry in entries:
            try:
                with opened.open(entry) as content:
                    while content.read(MEGABYTE):
                        pass
            except RuntimeError:
                name = one_line(entry.filename, archives.MAX_SHOWN_CHARACTERS)
                problem = f"{name} is encrypted or compressed in an unsupported way."
                raise Unreadable(problem) from None
