"""Hostile archives in, plain tars out.

Archives are never unpacked on the runner's machine. `clean` copies their files into a tar, without interpreting names
or contents; a sandbox unpacks this tar into its own memory. Links are copied as links, because only a process in the
sandbox follows them.

`clean` runs as a separate process with limits: `python -m runner.archives SOURCE FORMAT TARGET MAX_BYTES`.
"""

import io
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

MAX_ENTRIES = 100_000
MAX_PATH_BYTES = 1000
MAX_NAME_BYTES = 255
MAX_LINK_BYTES = 1000
PROCESS_LIMITS = ["prlimit", "--as=2147483648", "--cpu=120", "--core=0", "--"]
UNUSABLE = 3

Entry = tuple[tarfile.TarInfo, IO[bytes] | None]


class Unusable(Exception):
    """An archive that cannot be used, with the reason."""


def clean(source: Path, form: str, target: Path, max_bytes: int) -> None:
    """Copy an archive's files, folders and links to a tar, in a process with limited memory and time."""
    command = [sys.executable, "-m", "runner.archives", str(source), form, str(target), str(max_bytes)]
    folder = Path(__file__).parent.parent
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    result = subprocess.run(
        [*PROCESS_LIMITS, *command], cwd=folder, env=environment, capture_output=True, text=True
    )
    if result.returncode == UNUSABLE:
        raise Unusable(result.stdout.strip())
    if result.returncode != 0:
        raise Unusable("The archive cannot be read.")


def main(source: str, form: str, target: str, max_bytes: str) -> None:
    left, count = int(max_bytes), 0
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as output:
        for entry, content in (read_zip if form == "zip" else read_tar)(source, form):
            # A sparse file's size counts in full.
            left, count = left - entry.size, count + 1
            if left < 0:
                raise Unusable(f"The archive unpacks to more than {int(max_bytes) >> 20} MiB.")
            if count > MAX_ENTRIES:
                raise Unusable(f"The archive has more than {MAX_ENTRIES:,} entries.")
            parts = split_path(entry.name)
            if not parts or ".git" in parts or entry.ischr() or entry.isblk() or entry.isfifo():
                continue
            plain = tarfile.TarInfo("/".join(parts))
            plain.type = entry.type if entry.isdir() or entry.issym() or entry.islnk() else tarfile.REGTYPE
            plain.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            if entry.issym():
                plain.linkname = entry.linkname[:MAX_LINK_BYTES]
            elif entry.islnk():
                plain.linkname = "/".join(split_path(entry.linkname))
            elif entry.isreg():
                plain.size = entry.size
            output.addfile(plain, content)


def read_tar(source: str, form: str) -> Iterator[Entry]:
    # A stream, so that no header can send the reader back.
    with tarfile.open(source, "r|gz" if form == "tar.gz" else "r|") as archive:
        for entry in archive:
            yield entry, archive.extractfile(entry) if entry.isreg() else None


def read_zip(source: str, form: str) -> Iterator[Entry]:
    """Yield a zip archive's entries. If all are in one folder, this folder is the root."""
    with zipfile.ZipFile(source) as archive:
        entries = [entry for entry in archive.infolist() if not entry.filename.startswith("__MACOSX/")]
        roots = {entry.filename.partition("/")[:2] for entry in entries}
        root = (
            f"{roots.pop()[0]}/" if len(roots) == 1 and {separator for _, separator in roots} == {"/"} else ""
        )
        for entry in entries:
            mode = entry.external_attr >> 16
            info = tarfile.TarInfo(entry.filename.removeprefix(root))
            info.mode, info.size = mode, entry.file_size
            with archive.open(entry) as content:
                if entry.is_dir():
                    info.type, info.size = tarfile.DIRTYPE, 0
                elif stat.S_ISLNK(mode):
                    info.type, info.size = tarfile.SYMTYPE, 0
                    info.linkname = content.read(MAX_LINK_BYTES).decode("utf-8", "surrogateescape")
                yield info, content


def split_path(name: str) -> list[str]:
    """Return the parts of a path that stays below its root."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    too_long = len(os.fsencode(name)) > MAX_PATH_BYTES or any(
        len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts
    )
    if name.startswith("/") or ".." in parts or too_long:
        raise Unusable(f"The archive has an absolute, relative or too long path: {name[:100]!a}")
    return parts


# -- Clean tars ----------------------------------------------------------------------------------------


class Layer:
    """A clean tar's files under new names. `rename` returns None for files to leave out."""

    def __init__(self, source: Path, rename: Callable[[str], str | None], read_only: bool = False):
        self.source, self.rename, self.read_only = source, rename, read_only

    def entries(self) -> Iterator[Entry]:
        with tarfile.open(self.source, "r:") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isreg() else None
                name = self.rename(entry.name)
                if entry.islnk():
                    entry.linkname = self.rename(entry.linkname) or ""
                if name is None or (entry.islnk() and not entry.linkname):
                    continue
                entry.name = name
                if self.read_only and not entry.isdir():
                    entry.mode &= 0o555
                yield entry, content


def compose(target: Path, layers: Iterable[Layer], files: dict[str, bytes] | None = None) -> None:
    """Write the layers and then `files` to one tar. A file replaces everything that is in its way."""
    extra = files or {}
    layers = list(layers)
    names = [{entry.name for entry, _ in layer.entries() if not entry.isdir()} for layer in layers[1:]]
    names.append(set(extra))
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as output:
        for number, layer in enumerate(layers):
            later = set().union(*names[number:])
            folders = {parent for name in later for parent in parents(name)}
            for entry, content in layer.entries():
                is_replaced = entry.name in later or not later.isdisjoint(parents(entry.name))
                if not is_replaced and (entry.isdir() or entry.name not in folders):
                    output.addfile(entry, content)
        for name, data in extra.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            output.addfile(info, io.BytesIO(data))


def read(source: Path, name: str) -> bytes:
    """Return the content of a clean tar's file, empty if there is none."""
    for entry, content in Layer(source, lambda name: name).entries():
        if entry.name == name and content:
            return content.read()
    return b""


def parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Unusable as problem:
        print(problem)
        sys.exit(UNUSABLE)
