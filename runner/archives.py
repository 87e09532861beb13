"""Convert hostile archives to plain tars.

Nothing is unpacked on the runner's machine. `clean` copies an archive's files and links into a plain tar, which a
sandbox unpacks into its own memory, so links are only followed there. It runs as a process with limits.
"""

import io
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from runner import Unusable

MIN_TIME, MAX_TIME = 315_619_200, 4_102_444_800  # 1980-01-02, 2100: zip programs reject other times
MAX_ENTRIES = 100_000
MAX_PATH_BYTES, MAX_NAME_BYTES, MAX_LINK_BYTES = 1000, 255, 1000
PROCESS_LIMITS = ["prlimit", "--as=536870912", "--cpu=120", "--core=0", "--"]
UNUSABLE = 3

Entry = tuple[tarfile.TarInfo, IO[bytes] | None]
Rename = Callable[[str], str | None]


def clean(source: Path, form: str, target: Path, max_mb: int) -> Path:
    """Copy a tar, tar.gz or zip archive to the plain tar `target`, and return `target`."""
    command = [sys.executable, "-m", "runner.archives", str(source), form, str(target), str(max_mb)]
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    folder = Path(__file__).parent.parent
    result = subprocess.run(
        PROCESS_LIMITS + command, cwd=folder, env=environment, capture_output=True, text=True
    )
    if result.returncode:
        is_reason = result.returncode == UNUSABLE
        raise Unusable(result.stdout.strip() if is_reason else "The archive cannot be read.")
    return target


def copy_archive(source: str, form: str, target: str, max_mb: str) -> None:
    left, count = int(max_mb) << 20, 0
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as output:
        for entry, content in read_zip(source) if form == "zip" else read_tar(source, form):
            left, count = left - entry.size, count + 1
            if left < 0:
                raise Unusable(f"The archive unpacks to more than {max_mb} MiB.")
            if count > MAX_ENTRIES:
                raise Unusable(f"The archive has more than {MAX_ENTRIES:,} entries.")
            parts = split_path(entry.name)
            is_kept = entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()
            if not parts or ".git" in parts or not is_kept:
                continue
            plain = tarfile.TarInfo("/".join(parts))
            plain.type = tarfile.REGTYPE if entry.isreg() else entry.type
            plain.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            plain.size = entry.size if entry.isreg() else 0
            # In this order, because a header can also contain `nan`.
            plain.mtime = int(min(max(MIN_TIME, entry.mtime), MAX_TIME))
            if entry.issym():
                plain.linkname = entry.linkname[:MAX_LINK_BYTES]
            elif entry.islnk():
                plain.linkname = "/".join(split_path(entry.linkname))
            output.addfile(plain, content)


def read_tar(source: str, form: str) -> Iterator[Entry]:
    # As a stream, so that no header can send the reader back.
    with tarfile.open(source, "r|gz" if form == "tar.gz" else "r|") as archive:
        for entry in archive:
            yield entry, archive.extractfile(entry) if entry.isreg() else None


def read_zip(source: str) -> Iterator[Entry]:
    """Yield a zip archive's entries. If all are in one folder, this folder is the root."""
    with zipfile.ZipFile(source) as archive:
        for entry in archive.infolist():
            if entry.create_system == 0:  # Windows PowerShell separates folders by backslashes
                entry.filename = entry.filename.replace("\\", "/")
        entries = [entry for entry in archive.infolist() if not entry.filename.startswith("__MACOSX/")]
        roots = {"".join(entry.filename.partition("/")[:2]) for entry in entries}
        root = roots.pop() if len(roots) == 1 else ""
        for entry in entries:
            mode = entry.external_attr >> 16
            info = tarfile.TarInfo(entry.filename.removeprefix(root if root.endswith("/") else ""))
            info.mode, info.size = mode, entry.file_size
            with archive.open(entry) as content:
                if entry.is_dir():
                    info.type = tarfile.DIRTYPE
                elif stat.S_ISLNK(mode):
                    info.type = tarfile.SYMTYPE
                    info.linkname = content.read(MAX_LINK_BYTES).decode("utf-8", "surrogateescape")
                yield info, content


def split_path(name: str) -> list[str]:
    """Return the parts of a path that stays below its root."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    longest = max((len(os.fsencode(part)) for part in parts), default=0)
    is_long = len(os.fsencode(name)) > MAX_PATH_BYTES or longest > MAX_NAME_BYTES
    if name.startswith("/") or ".." in parts or is_long:
        raise Unusable(f"The archive has an absolute, relative or too long path: {name[:100]!a}")
    return parts


# -- Plain tars ----------------------------------------------------------------------------------------


def read_entries(source: Path, rename: Rename = str, read_only: bool = False) -> Iterator[Entry]:
    """Yield a plain tar's entries under new names. `rename` returns None for those to leave out."""
    with tarfile.open(source, "r:") as archive:
        for entry in archive:
            content = archive.extractfile(entry) if entry.isreg() else None
            name, link = rename(entry.name), rename(entry.linkname) if entry.islnk() else entry.linkname
            if name is not None and link is not None:
                entry.name, entry.linkname = name, link
                entry.mode &= 0o555 if read_only and entry.isreg() else 0o755
                yield entry, content


def compose(target: Path, *layers: tuple, files: dict[str, bytes] | None = None) -> Path:
    """Write the layers (arguments of `read_entries`) and `files` to one tar, and return `target`.

    A later file replaces everything that is in its way.
    """
    files = files or {}
    names = [{entry.name for entry, _ in read_entries(*layer) if not entry.isdir()} for layer in layers]
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as output:
        for number, layer in enumerate(layers, 1):
            later = set(files).union(*names[number:])
            folders = {parent for name in later for parent in parents(name)}
            for entry, content in read_entries(*layer):
                is_in_the_way = entry.name in folders and not entry.isdir()
                if not is_in_the_way and later.isdisjoint([entry.name, *parents(entry.name)]):
                    output.addfile(entry, content)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            output.addfile(info, io.BytesIO(data))
    return target


def parents(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name


if __name__ == "__main__":
    try:
        copy_archive(*sys.argv[1:])
    except Unusable as problem:
        print(problem)
        sys.exit(UNUSABLE)
