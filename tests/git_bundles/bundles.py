"""Git bundles created by git, and hand-built bundles with content that git never writes."""

import hashlib
import json
import os
import subprocess
import zlib
from pathlib import Path

from delivery.worker import submissions

COMMIT, TREE, BLOB, TAG, OFS_DELTA, REF_DELTA = 1, 2, 3, 4, 6, 7
WHO = b"A <a@example.com> 1775034000 +0000"
GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *arguments]
    done = subprocess.run(command, env=GIT_ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def make_repository(folder: Path, files: dict[str, str | bytes]) -> str:
    """Create a repository with one commit, and return the commit's id."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    return commit(folder, files)


def commit(folder: Path, files: dict[str, str | bytes | None]) -> str:
    """Commit files, delete files that are None, and return the commit's id."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Work")
    return git(folder, "rev-parse", "HEAD")


def bundle(folder: Path, *references: str) -> bytes:
    file = folder / "made.bundle"
    git(folder, "bundle", "create", "-q", str(file), *(references or ("HEAD",)))
    content = file.read_bytes()
    file.unlink()
    return content


def object_name(kind: int, content: bytes) -> bytes:
    type_name = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}[kind]
    return hashlib.sha1(type_name + b" %d\0" % len(content) + content).digest()


class Pack:
    """Builds a pack and its bundle."""

    def __init__(self):
        self.entries: list[bytes] = []
        self.size = 12
        self.count: int | None = None  # a false count for the header

    def add(self, kind: int, content: bytes, size: int | None = None, base: bytes = b"") -> int:
        """Add an entry and return its offset.

        size -- a false size for the header
        base -- a delta's base: encoded offset, or name
        """
        size = len(content) if size is None else size
        first, rest = (kind << 4) | (size & 15), size >> 4
        header = bytearray([first | (0x80 if rest else 0)])
        while rest:
            header.append((rest & 0x7F) | (0x80 if rest >> 7 else 0))
            rest >>= 7
        entry, offset = bytes(header) + base + zlib.compress(content, 9), self.size
        self.entries.append(entry)
        self.size += len(entry)
        return offset

    def add_object(self, kind: int, content: bytes) -> bytes:
        self.add(kind, content)
        return object_name(kind, content)

    def add_tree(self, *entries: tuple[str, bytes, bytes]) -> bytes:
        """Add a tree of (mode, name, object name)."""
        content = b"".join(mode.encode() + b" " + name + b"\0" + target for mode, name, target in entries)
        return self.add_object(TREE, content)

    def add_commit(self, tree: bytes, *parents: bytes) -> bytes:
        lines = [b"tree " + tree.hex().encode(), *(b"parent " + name.hex().encode() for name in parents)]
        lines += [b"author " + WHO, b"committer " + WHO, b"", b"Work\n"]
        return self.add_object(COMMIT, b"\n".join(lines))

    @property
    def content(self) -> bytes:
        count = len(self.entries) if self.count is None else self.count
        pack = b"PACK" + (2).to_bytes(4) + count.to_bytes(4) + b"".join(self.entries)
        return pack + hashlib.sha1(pack).digest()

    def bundle(self, head: bytes) -> bytes:
        lines = [b"# v2 git bundle", head.hex().encode() + b" HEAD", b"", b""]
        return b"\n".join(lines) + self.content


def bundle_of_tree(pack: Pack, tree: bytes) -> bytes:
    return pack.bundle(pack.add_commit(tree))


def bundle_of_blobs(**blobs: bytes) -> bytes:
    pack = Pack()
    entries = [("100644", name.encode(), pack.add_object(BLOB, text)) for name, text in sorted(blobs.items())]
    return bundle_of_tree(pack, pack.add_tree(*entries))


def read(content: bytes, tmp_path: Path, base: str | None = "empty") -> list[dict]:
    """Run the process and return its output, except for the last line. Raises the worker's exceptions."""
    file, output = tmp_path / "read.bundle", tmp_path / "read.jsonl"
    file.write_bytes(content)
    with file.open("rb") as bundle_file, output.open("w+b") as output_file:
        submissions.run(bundle_file, output_file, base)
        output_file.seek(0)
        *lines, _ = map(json.loads, output_file)
    return lines


def problem_of(content: bytes, tmp_path: Path, base: str | None = "empty") -> str:
    """The reason why a bundle cannot be read."""
    try:
        read(content, tmp_path, base)
    except submissions.Unreadable as problem:
        return str(problem)
    raise AssertionError("The bundle was read.")


def varint(number: int) -> bytes:
    """Encode a size in a delta."""
    encoded = bytearray()
    while True:
        encoded.append((number & 0x7F) | (0x80 if number >> 7 else 0))
        number >>= 7
        if not number:
            return bytes(encoded)


def offset_to(distance: int) -> bytes:
    """Encode an OFS_DELTA's distance to its base."""
    encoded = [distance & 0x7F]
    while distance := distance >> 7:
        distance -= 1
        encoded.insert(0, 0x80 | (distance & 0x7F))
    return bytes(encoded)
