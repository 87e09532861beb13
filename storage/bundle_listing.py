"""The list of files of a bundle, read as a stream and never unpacked.

A bundle is whatever its sender made it: names that lead out of the folder, links, devices, a few bytes that grow to
terabytes. Nothing of it is written anywhere, each step of the reading is bounded in bytes, entries and time, and what
would be dangerous to unpack is listed with the reason.
"""

import re
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from tarfile import TarInfo
from typing import NamedTuple, Protocol

CHUNK = 64 * 1024
_BLOCK = tarfile.BLOCKSIZE
_GZIP = 16 + zlib.MAX_WBITS
# The types without contents, whatever size their headers tell.
_HEADER_ONLY = {
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "named pipe",
}
_FILES = dict.fromkeys((tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE), "file")
_TYPES = _HEADER_ONLY | _FILES | {tarfile.GNUTYPE_SPARSE: "sparse file"}
_LONG_NAMES = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_EXTENDED = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)
# In a sparse file's header, and in the blocks that go on with its map: whether another such block follows.
_SPARSE_GOES_ON, _SPARSE_STILL_GOES_ON = 482, 504

_NO_TEXT = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")


class ListingLimits(NamedTuple):
    """How much of a bundle is read, at most; the client packs at most 100 MiB of contents."""

    entries: int = 20_000
    name_characters: int = 1_000
    note_bytes: int = 64 * 1024  # of one header that goes before an entry's own: long names and the like
    content_bytes: int = 256 * 1024 * 1024  # uncompressed
    seconds: float = 10.0


LIMITS = ListingLimits()


class Entry(NamedTuple):
    """One entry of the tar, as its headers tell it.

    name -- safe to show: what is no text in it is U+FFFD, and it is cut where it is too long
    size -- bytes of its contents
    type -- `file`, `directory`, `symbolic link`, `hard link`, `character device`, `block device`, `named pipe`,
        `sparse file` or `unknown`
    unsafe -- why it must not be unpacked as it is, None for a harmless one
    """

    name: str
    size: int
    type: str
    unsafe: str | None


class Listing(NamedTuple):
    """The entries that were read, and a sentence that says why the list may end too early, None if it is complete."""

    entries: list[Entry]
    problem: str | None


class Source(Protocol):
    """A stream of bytes, such as Storage.open returns."""

    def read(self, size: int = -1, /) -> bytes: ...


Notes = dict[str, bytes]


def list_bundle(
    source: Source, limits: ListingLimits = LIMITS, clock: Callable[[], float] = time.monotonic
) -> Listing:
    """The entries of the gzip-compressed tar that `source` gives; reads forward, once, and does not close it.

    Whatever is in the stream gives a Listing; only what `source` itself raises comes through.
    """
    entries: list[Entry] = []
    try:
        for entry in _entries(_Content(source, limits, clock), limits):
            if len(entries) == limits.entries:
                raise _Stop(f"The bundle has more than {limits.entries} entries.")
            entries.append(entry)
    except _Stop as stop:
        return Listing(entries, str(stop))
    return Listing(entries, None)


class _Stop(Exception):
    """The reading ends here; the message says why."""


_CUT_OFF = "The bundle is cut off before its end."
_DAMAGED = "The bundle is not a gzip-compressed tar archive, or it is damaged."


class _Content:
    """The uncompressed bytes, as far as the limits go.

    Only the first member of the gzip file is read: clients make one, and millions of empty ones take forever.
    """

    def __init__(self, source: Source, limits: ListingLimits, clock: Callable[[], float]):
        self._source, self._clock = source, clock
        self._decompressor = zlib.decompressobj(_GZIP)
        self._buffer = b""
        self._rest = limits.content_bytes
        self._deadline = clock() + limits.seconds

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; the caller has bounded them."""
        return b"".join(self._pieces(size))

    def skip(self, size: int) -> None:
        for _ in self._pieces(size):
            pass

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._buffer:
                self._fill()
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(piece)
            yield piece

    def _fill(self) -> None:
        while not self._buffer:
            if self._rest <= 0:
                raise _Stop("The bundle has more contents than are read for its list.")
            if self._clock() > self._deadline:
                raise _Stop("Reading the bundle took too long.")
            self._buffer = self._decompressed()
        self._rest -= len(self._buffer)

    def _decompressed(self) -> bytes:
        compressed = self._decompressor.unconsumed_tail
        if not compressed and not self._decompressor.eof:
            compressed = self._source.read(CHUNK)
        try:
            piece = self._decompressor.decompress(compressed, CHUNK)
        except zlib.error:
            raise _Stop(_DAMAGED) from None
        if not piece and (not compressed or self._decompressor.eof):
            raise _Stop(_CUT_OFF)
        return piece


def _entries(content: _Content, limits: ListingLimits) -> Iterator[Entry]:
    common: Notes = {}
    notes: Notes = {}
    while block := _header_block(content):
        header = _header(block)
        if header.type in (*_LONG_NAMES, *_EXTENDED):
            (common if header.type == tarfile.XGLTYPE else notes).update(_notes(header, content, limits))
            continue
        told = common | notes
        size = _size(header, told)
        yield _entry(header, size, told, limits)
        if header.type == tarfile.GNUTYPE_SPARSE:
            _skip_sparse_map(content, block)
        content.skip(_padded(size))
        notes = {}


def _header_block(content: _Content) -> bytes | None:
    """The next header; None at the end of the archive, a block of zeros."""
    block = content.read(_BLOCK)
    return block if block.strip(b"\0") else None


def _header(block: bytes) -> TarInfo:
    try:
        header = TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        raise _Stop(_DAMAGED) from None
    if header.size < 0:
        raise _Stop(_DAMAGED)
    return header


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _skip_sparse_map(content: _Content, block: bytes) -> None:
    goes_on = block[_SPARSE_GOES_ON]
    while goes_on:
        goes_on = content.read(_BLOCK)[_SPARSE_STILL_GOES_ON]


# What goes before an entry's own header: names that do not fit it, and more


def _notes(header: TarInfo, content: _Content, limits: ListingLimits) -> Notes:
    """What a header of this kind tells about the next entry, or about all that follow; `oversized` if it was not
    read."""
    if header.size > limits.note_bytes:
        content.skip(_padded(header.size))
        return {"oversized": b""}
    text = content.read(_padded(header.size))[: header.size]
    if header.type in _LONG_NAMES:
        return {_LONG_NAMES[header.type]: text.rstrip(b"\0")}
    return dict(_records(text))


def _records(text: bytes) -> Iterator[tuple[str, bytes]]:
    """The records of an extended header: `LENGTH NAME=VALUE\\n`, where the length counts the whole record."""
    start = 0
    while start < len(text):
        length, blank, _ = text[start : start + 10].partition(b" ")
        end = start + int(length) if length.isdigit() else 0
        name, equals, value = text[start + len(length) + 1 : end - 1].partition(b"=")
        if not blank or not equals or text[end - 1 : end] != b"\n":
            raise _Stop(_DAMAGED)
        yield name.decode("ascii", "replace"), value
        start = end


# One entry


def _size(header: TarInfo, notes: Notes) -> int:
    if header.type in _HEADER_ONLY:
        return 0
    told = notes.get("size")
    if told is None:
        return header.size
    if not told.isdigit() or len(told) > 18:
        raise _Stop(_DAMAGED)
    return int(told)


def _entry(header: TarInfo, size: int, notes: Notes, limits: ListingLimits) -> Entry:
    name = notes["path"].decode("utf-8", "surrogateescape") if "path" in notes else header.name
    shown = _CONTROL.sub("\ufffd", _NO_TEXT.sub("\ufffd", name[: limits.name_characters]))
    type_ = "sparse file" if _is_sparse(notes) else _TYPES.get(header.type, "unknown")
    return Entry(shown, size, type_, _danger(name, type_, notes, limits))


def _is_sparse(notes: Notes) -> bool:
    return any(name.startswith("GNU.sparse.") for name in notes)


def _danger(name: str, type_: str, notes: Notes, limits: ListingLimits) -> str | None:
    if type_ not in ("file", "directory"):
        return f"Its type is {type_}; a bundle has files only."
    if "oversized" in notes:
        return "A header of its own was too large to read; its name may be another one."
    if len(name) > limits.name_characters:
        return "Its name is too long."
    if not name or _CONTROL.search(name) or _NO_TEXT.search(name):
        return "Its name is no plain text."
    if _ABSOLUTE.match(name):
        return "Its name begins at the root of a disk."
    if ".." in re.split(r"[/\\]", name):
        return "Its name leads out of the folder."
    return None
