"""List the files of an untrusted bundle from its stream, without unpacking it.

Nothing is written to disk. Bytes, entries and time are limited. An entry that is unsafe to unpack says why.
"""

import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from storage.base import Readable
from storage.gunzip import CHUNK_BYTES, BoundedGunzip, ListingLimits, ListingStopped

DEFAULT_LIMITS = ListingLimits()
MAX_NAME_CHARACTERS = 1_000
MAX_NAME_BYTES = 4 * (MAX_NAME_CHARACTERS + 1)  # in UTF-8; one more, so that a longer name is detected
MAX_EXTENSION_BYTES = 64 * 1024  # long names and PAX records, which extend the next header
MAX_SIZE_DIGITS = 18  # larger sizes do not fit the JSON integer of the response
DAMAGED = "The bundle is not a gzip-compressed tar archive, or it is damaged."

TYPES_WITHOUT_CONTENTS = {  # whatever size their headers claim
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "named pipe",
}
FILE_TYPES = dict.fromkeys((tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE), "file")
TYPES = TYPES_WITHOUT_CONTENTS | FILE_TYPES | {tarfile.GNUTYPE_SPARSE: "sparse file"}
LONG_NAME_FIELDS = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
EXTENSION_TYPES = (*LONG_NAME_FIELDS, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)

PAX_RECORD = re.compile(rb"([0-9]{1,9}) ([^=]*)=")  # LENGTH KEYWORD=VALUE\n, LENGTH of the whole record
NOT_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
ABSOLUTE_PATH = re.compile(r"[/\\]|[A-Za-z]:")


class Entry(NamedTuple):
    """A tar entry: its displayable name, size in bytes, type, and why it is unsafe."""

    name: str
    size: int
    type: str
    unsafe: str | None


class Listing(NamedTuple):
    """The entries, and why the list may be incomplete."""

    entries: list[Entry]
    problem: str | None


def list_bundle(source: Readable, limits: ListingLimits = DEFAULT_LIMITS) -> Listing:
    """List the entries of a gzip-compressed tar. Raises only what `source` raises."""
    entries: list[Entry] = []
    characters_left = limits.name_characters
    try:
        for entry in _entries(BoundedGunzip(source, limits)):
            if len(entries) == limits.entries:
                raise ListingStopped(f"The bundle has more than {limits.entries} entries.")
            characters_left -= len(entry.name)
            if characters_left < 0:
                raise ListingStopped("The bundle's names are too long to list all of them.")
            entries.append(entry)
    except ListingStopped as problem:
        return Listing(entries, str(problem))
    except (tarfile.TarError, zlib.error):
        return Listing(entries, DAMAGED)
    return Listing(entries, None)


class _Header(tarfile.TarInfo):
    """A single header block, read without the extensions that belong to it.

    tarfile itself reads them, and sparse maps, into memory without limits.
    """

    @classmethod
    def fromtarfile(cls, archive: Any) -> "_Header":
        stream = archive.fileobj
        block = stream.read(tarfile.BLOCKSIZE)
        try:
            header = cls.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            if block.strip(b"\0"):
                raise ListingStopped(DAMAGED) from None
            raise  # a block of zeros is the end of the archive
        map_continues = header.type == tarfile.GNUTYPE_SPARSE and block[482]
        while map_continues:
            map_continues = stream.read(tarfile.BLOCKSIZE)[504]
        header.offset_data = stream.tell()
        return header


def _entries(contents: Any) -> Iterator[Entry]:
    common: dict[str, bytes] = {}  # fields of all following entries
    own: dict[str, bytes] = {}  # fields of the next entry
    archive: Any
    with tarfile.open(fileobj=contents, mode="r|", bufsize=CHUNK_BYTES, tarinfo=_Header) as archive:
        while header := archive.next():
            archive.members.clear()
            size = header.size
            if header.type in EXTENSION_TYPES:
                fields = common if header.type == tarfile.XGLTYPE else own
                fields.update(_extension_fields(header, archive.fileobj))
            else:
                entry = _entry(header, common | own)
                yield entry
                size, own = entry.size, {}
            archive.offset = header.offset_data + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _extension_fields(header: _Header, stream: Readable) -> dict[str, bytes]:
    """Return the fields `path` and `size`, and the flags `sparse` and `oversized`."""
    if not 0 <= header.size <= MAX_EXTENSION_BYTES:
        return {"oversized": b""}
    text = stream.read(header.size)
    if field := LONG_NAME_FIELDS.get(header.type):
        return {field: text[:MAX_NAME_BYTES].rstrip(b"\0")}
    return dict(_pax_fields(text))


def _pax_fields(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Parse PAX records strictly: tarfile before 3.11.10 ignores damaged ones."""
    start = 0
    while start < len(text):
        record = PAX_RECORD.match(text, start)
        end = start + int(record[1]) if record else 0
        if not record or end <= record.end() or text[end - 1 : end] != b"\n":
            raise ListingStopped(DAMAGED)
        if record[2] in (b"path", b"size"):
            yield record[2].decode(), text[record.end() : end - 1][:MAX_NAME_BYTES]
        elif record[2].startswith(b"GNU.sparse."):
            yield "sparse", b""
        start = end


def _entry(header: _Header, fields: dict[str, bytes]) -> Entry:
    name = fields["path"].decode("utf-8", "surrogateescape") if "path" in fields else header.name
    display_name = NOT_TEXT.sub("\ufffd", name[:MAX_NAME_CHARACTERS])
    type_ = "sparse file" if "sparse" in fields else TYPES.get(header.type, "unknown")
    return Entry(display_name, _size(header, fields), type_, _unsafe_reason(name, type_, fields))


def _size(header: _Header, fields: dict[str, bytes]) -> int:
    if header.type in TYPES_WITHOUT_CONTENTS:
        return 0
    size = fields.get("size", b"%d" % header.size)
    if not size.isdigit() or len(size) > MAX_SIZE_DIGITS:
        raise ListingStopped(DAMAGED)
    return int(size)


def _unsafe_reason(name: str, type_: str, fields: dict[str, bytes]) -> str | None:
    if type_ not in ("file", "directory"):
        return f"Type is {type_}; only files and directories are safe."
    if "oversized" in fields:
        return "A header is too large to read; the name may be a different one."
    if len(name) > MAX_NAME_CHARACTERS:
        return f"Name is longer than {MAX_NAME_CHARACTERS} characters."
    if not name or NOT_TEXT.search(name):
        return "Name is empty or not plain text."
    if ABSOLUTE_PATH.match(name):
        return "Name is an absolute path."
    if ".." in re.split(r"[/\\]", name):
        return "Name points outside the folder."
    return None
