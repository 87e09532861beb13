"""List an untrusted bundle's files without unpacking it, within limits on bytes, entries and time."""

import re
import tarfile
import zlib
from typing import NamedTuple

from rules.gunzip import DAMAGED, BoundedGunzip, ListingLimits, ListingStopped, read_headers
from storage.base import Readable

DEFAULT_LIMITS = ListingLimits()
MAX_NAME_CHARACTERS = 1_000
MAX_SIZE = 10**18  # larger sizes do not fit into a JSON integer

TYPES_WITHOUT_CONTENTS = {  # regardless of the size in their headers
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "named pipe",
}
FILE_TYPES = dict.fromkeys((tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE), "file")
TYPES = TYPES_WITHOUT_CONTENTS | FILE_TYPES | {tarfile.GNUTYPE_SPARSE: "sparse file"}

NOT_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
ABSOLUTE_PATH = re.compile(r"[/\\]|[A-Za-z]:")


class Entry(NamedTuple):
    """A tar entry.

    name -- printable and truncated
    size -- in bytes
    unsafe -- why the entry is unsafe to unpack, or None
    """

    name: str
    size: int
    type: str
    unsafe: str | None


class Listing(NamedTuple):
    """A bundle's entries. If the list is incomplete, `problem` says why."""

    entries: list[Entry]
    problem: str | None


def list_bundle(source: Readable, limits: ListingLimits = DEFAULT_LIMITS) -> Listing:
    """List a gzip-compressed tar's entries. Raises only the source's errors."""
    entries: list[Entry] = []
    characters_left = limits.name_characters
    try:
        for header in read_headers(BoundedGunzip(source, limits)):
            entry = _build_entry(header)
            if len(entries) == limits.entries:
                raise ListingStopped(f"The archive contains more than {limits.entries} entries.")
            characters_left -= len(entry.name)
            if characters_left < 0:
                raise ListingStopped("The archive's file names are too long to list all of them.")
            entries.append(entry)
    except ListingStopped as problem:
        return Listing(entries, str(problem))
    except (tarfile.TarError, zlib.error, ValueError):  # tarfile raises ValueError for invalid numbers
        return Listing(entries, DAMAGED)
    return Listing(entries, None)


def _build_entry(header: tarfile.TarInfo) -> Entry:
    name = NOT_TEXT.sub("\ufffd", header.name[:MAX_NAME_CHARACTERS])
    is_sparse = any(field.startswith("GNU.sparse.") for field in header.pax_headers)
    type_ = "sparse file" if is_sparse else TYPES.get(header.type, "unknown")
    size = 0 if header.type in TYPES_WITHOUT_CONTENTS else header.size
    if not 0 <= size < MAX_SIZE:
        raise ListingStopped(DAMAGED)
    return Entry(name, size, type_, _unsafe_reason(header.name, type_))


def _unsafe_reason(name: str, type_: str) -> str | None:
    if type_ not in ("file", "directory"):
        return f"Type is {type_}; only files and directories are safe."
    if len(name) > MAX_NAME_CHARACTERS:
        return f"Name is longer than {MAX_NAME_CHARACTERS} characters."
    if not name or NOT_TEXT.search(name):
        return "Name is empty or not plain text."
    if ABSOLUTE_PATH.match(name):
        return "Name is an absolute path."
    if ".." in re.split(r"[/\\]", name):
        return "Name points outside the folder."
    return None
