"""Listings of untrusted bundles: entries, unsafe names and types, damaged archives, and limits."""

import gzip
import io
import random
import re
import tarfile
import time
import tracemalloc

import pytest

import rules.gunzip
from storage.bundle_listing import DAMAGED, Entry, ListingLimits, list_bundle

MIB = 1024 * 1024
TOO_LARGE = "The archive is larger than 1 MiB when unpacked."
TRUNCATED = "The archive is truncated."
LARGE_HEADER = "The archive has a header that is too large to read."


def field(name: str, type=tarfile.REGTYPE, size=0, linkname="", **pax_headers) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.pax_headers = type, size, linkname, pax_headers
    return info


def tar(*fields, format=tarfile.PAX_FORMAT, **pax_headers) -> bytes:
    """A tar of `(name, contents)` pairs or TarInfo objects, whose contents are zeros."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format, pax_headers=pax_headers) as archive:
        for entry in fields:
            info = entry if isinstance(entry, tarfile.TarInfo) else field(entry[0], size=len(entry[1]))
            archive.addfile(info, io.BytesIO(bytes(info.size) if info is entry else entry[1]))
    return file.getvalue()


def listing(content: bytes, **limits):
    """Compress and list a tar."""
    return list_bundle(io.BytesIO(gzip.compress(content, 1)), ListingLimits(**limits))


def names(bundle) -> list[str]:
    return [entry.name for entry in bundle.entries]


def header(type: bytes, size=0, format=tarfile.USTAR_FORMAT, **changes) -> bytes:
    """A header block. `changes` such as `at124=b"..."` replace its bytes."""
    block = bytearray(field("h", type, size).tobuf(format))
    for offset, value in changes.items():
        start = int(offset.removeprefix("at"))
        block[start : start + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def extension(type: bytes, content: bytes) -> bytes:
    return header(type, len(content)) + content + bytes(-len(content) % 512)


def record(keyword: bytes, value: bytes) -> bytes:
    """A PAX record, whose length includes its own digits."""
    length = len(keyword) + len(value) + 3
    return b"%d %b=%b\n" % (length + len(str(length + len(str(length)))), keyword, value)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_types_and_sizes_are_listed(format):
    files = [
        ("README.md", b"hello"),
        ("app.py", b"x" * 513),
        ("empty", b""),
        (f"{'d' * 80}/{'é' * 45}", b"y"),
    ]
    bundle = listing(tar(*files, field("src", tarfile.DIRTYPE), format=format))
    listed = [Entry(name, len(contents), "file", None) for name, contents in files]
    assert bundle == ([*listed, Entry("src", 0, "directory", None)], None)
    assert listing(tar()) == ([], None)


def test_a_source_can_return_few_bytes_at_a_time():
    class Slow(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(min(size, 7))

    content = gzip.compress(tar(("a", b"1" * 5000), ("b", b"2")))
    assert names(list_bundle(Slow(content))) == ["a", "b"]


NAMES = {
    None: ["..hidden", "a..b", "...", "a/b..", "C", "a/b:c"],
    "Name is an absolute path.": ["/etc/passwd", "\\windows\\system", "C:/windows"],
    "Name points outside the folder.": ["../outside", "a/../../outside", "a\\..\\..\\outside", ".."],
    "Name is empty or not plain text.": ["line\nfeed", "escape\x1b[31m", "caf\udce9"],
    "Name is longer than 1000 characters.": ["n" * 1001, "n" * 5000],
}


@pytest.mark.parametrize(("reason", "unsafe_names"), NAMES.items())
def test_an_unsafe_name_is_listed_with_the_reason(reason, unsafe_names):
    bundle = listing(tar(*((name, b"1") for name in unsafe_names), format=tarfile.GNU_FORMAT))
    printable = [re.sub("[\n\x1b\udce9]", "\ufffd", name[:1000]) for name in unsafe_names]
    assert bundle == ([Entry(name, 1, "file", reason) for name in printable], None)


OTHER_TYPES = {
    "symbolic link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE, "named pipe": tarfile.FIFOTYPE, "unknown": b"Z",
}  # fmt: skip


def test_other_types_are_unsafe():
    unsafe = "Type is {}; only files and directories are safe."
    bundle = listing(tar(*(field(name, type, linkname="/etc") for name, type in OTHER_TYPES.items())))
    assert bundle.entries == [Entry(name, 0, name, unsafe.format(name)) for name in OTHER_TYPES]
    old = header(tarfile.GNUTYPE_SPARSE, at482=b"\1") + bytes(504) + b"\1" + bytes(7) + bytes(512)
    new = field("GNUSparseFile.0/new", size=3, **{"GNU.sparse.major": "1"})
    *sparse, after = listing(old + tar(new, ("after", b"1"))).entries
    for entry in sparse:
        assert (entry.type, entry.unsafe) == ("sparse file", unsafe.format("sparse file"))
    assert after == Entry("after", 1, "file", None)


ONE, TAR = tar(("a", b"1")), tar(("after", b"1"))
SIZE_RECORD = extension(tarfile.XHDTYPE, record(b"size", b"3"))
HEADERS = {
    "size in an extended header": (SIZE_RECORD + header(b"0") + bytes(512) + TAR, {"h": 3, "after": 1}, None),
    "size of a link": (header(b"2", at124=b"00000001000\0") + TAR, {"h": 0, "after": 1}, None),
    "negative size": (header(b"0", at124=b"\xff" * 12) + TAR, {}, DAMAGED),
    "impossible size": (header(b"0", at124=b"\x80" + b"\xff" * 11) + TAR, {}, DAMAGED),
    "terabytes": (header(b"0", 2**50, tarfile.GNU_FORMAT), {"h": 2**50}, TRUNCATED),
    "no end": (ONE[:1024], {"a": 1}, TRUNCATED),
    "no header": (ONE[:1024] + b"x" * 512, {"a": 1}, DAMAGED),
    "damaged header": (ONE[:1024] + header(b"0")[:-1] + b"x", {"a": 1}, DAMAGED),
    "nothing": (b"", {}, TRUNCATED),
    "half a header": (b"short", {}, TRUNCATED),
    "text": (b"x" * 512, {}, DAMAGED),
}


@pytest.mark.parametrize(("content", "sizes", "problem"), HEADERS.values(), ids=HEADERS)
def test_entries_are_listed_up_to_a_damaged_header(content, sizes, problem):
    bundle = listing(content)
    assert ({entry.name: entry.size for entry in bundle.entries}, bundle.problem) == (sizes, problem)


@pytest.mark.parametrize(
    "records",
    [
        *b"abc\n|8 path=a\n|99 path=a\n|0 path=a\n|1 path=a\n|10 path a\n|\xb2 a=b\n|-1 path=a\n".split(b"|"),
        b"9" * 5000,
        *(record(b"size", size) for size in (b"1e9", b"", b"0x10", "²".encode())),
        *(record(b"GNU.sparse.size", size) for size in (b"x", b"9" * 4000, b"-1")),
        record(b"GNU.sparse.map", b"1,x"),
        record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0"),
        record(b"hdrcharset", b"\xff"),
    ],
)
def test_a_damaged_extended_header_ends_the_listing_or_is_ignored(records):
    """The result depends on the Python version."""
    bundle = listing(extension(tarfile.XHDTYPE, records) + TAR)
    assert bundle.problem in (DAMAGED, None)
    assert len(bundle.entries) <= 1


@pytest.mark.parametrize("size", [b"-1", b"-1024", b"9" * 19, b"9" * 4000])
def test_an_impossible_size_in_an_extended_header_ends_the_listing(size):
    assert listing(extension(tarfile.XHDTYPE, record(b"size", size)) + TAR) == ([], DAMAGED)


def test_a_file_that_is_not_a_bundle_has_a_problem():
    # Only the first gzip member is read.
    members = gzip.compress(b"") * 200_000 + gzip.compress(ONE)
    for problem, bodies in {TRUNCATED: [b"", b"\x1f\x8b", members], DAMAGED: [b"no gzip", ONE]}.items():
        for body in bodies:
            assert list_bundle(io.BytesIO(body)) == ([], problem)


def test_a_truncated_bundle_is_listed_up_to_its_end():
    contents = random.Random(1).randbytes(50_000)
    complete = gzip.compress(tar(("a", b"1"), ("b", contents), ("c", b"2")))
    for share in (0.3, 0.6, 0.95):
        bundle = list_bundle(io.BytesIO(complete[: int(len(complete) * share)]))
        assert (names(bundle), bundle.problem) == (["a", "b"], TRUNCATED)


@pytest.mark.parametrize(
    ("before", "after"), [(bytes, gzip.compress), (gzip.compress, bytes)], ids=["uncompressed", "compressed"]
)
def test_flipped_bytes_never_raise(before, after):
    content = before(tar(("a", b"1" * 600), ("é" * 90, b"2"), field("l", tarfile.SYMTYPE, linkname="x")))
    rng = random.Random(5)
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        list_bundle(io.BytesIO(after(damaged)))


def listing_and_peak_memory(content: bytes, **limits):
    source = io.BytesIO(gzip.compress(content, 1))
    tracemalloc.start()
    bundle = list_bundle(source, ListingLimits(**limits))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return bundle, peak


def test_the_number_of_entries_is_limited():
    content = tar(*((f"f{number}", b"") for number in range(12)))
    assert listing(content, entries=12).problem is None
    bundle = listing(content, entries=11)
    assert (len(bundle.entries), bundle.problem) == (11, "The archive contains more than 11 entries.")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (header(b"0", 24 * MIB), (["h"], TOO_LARGE)),
        (header(tarfile.XHDTYPE, 24 * MIB), ([], LARGE_HEADER)),
        (header(tarfile.XGLTYPE, 24 * MIB), ([], LARGE_HEADER)),
        (header(tarfile.GNUTYPE_LONGNAME, 24 * MIB), ([], LARGE_HEADER)),
    ],
    ids=["contents", "extended header", "global header", "long name"],
)
def test_a_decompression_bomb_is_read_up_to_the_limit_in_constant_memory(content, expected):
    bundle, peak = listing_and_peak_memory(content + bytes(24 * MIB), content_bytes=MIB)
    assert (names(bundle), bundle.problem) == expected
    assert peak < MIB / 2


@pytest.mark.parametrize(
    ("start", "block"),
    [
        (header(tarfile.GNUTYPE_SPARSE, at482=b"\1"), b"00000000001\0" * 42 + b"\1" + bytes(7)),
        *((b"", header(type)) for type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)),
    ],
    ids=["sparse map", "extended headers", "global headers", "long names"],
)
def test_an_entrys_headers_are_read_up_to_the_limit_in_constant_memory(start, block):
    bundle, peak = listing_and_peak_memory(start + block * 4_000)
    assert bundle == ([], LARGE_HEADER)
    assert peak < MIB


def test_many_pax_records_take_little_memory():
    keywords = (b"%d" % number for number in range(20_000))
    headers = {
        kind: b"".join(
            extension(kind, b"".join(record(next(keywords), b"") for _ in range(1_000))) + header(b"0")
            for _ in range(5)
        )
        for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE)
    }
    bundle, peak = listing_and_peak_memory(headers[tarfile.XHDTYPE] + TAR)
    assert (names(bundle), bundle.problem) == (["h"] * 5 + ["after"], None)
    assert peak < MIB
    bundle, peak = listing_and_peak_memory(headers[tarfile.XGLTYPE] + TAR)
    assert bundle == ([], "The archive has too many global headers.")
    assert peak < MIB


@pytest.mark.slow
def test_slow_headers_do_not_exceed_the_time_limit():
    """Before 3.11.10, Python's regular expressions take quadratic time."""
    slow = extension(tarfile.XHDTYPE, b"9" * 15_000) + header(b"0")
    started = time.monotonic()
    bundle = listing(slow * 200, seconds=0.5)
    assert time.monotonic() - started < 10
    assert bundle.problem in (DAMAGED, "Reading the archive took too long.")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_the_total_length_of_names_is_limited(kind):
    name = "\U0001f600" * 1_000
    long_name = extension(kind, record(b"path", name.encode()))
    content = (long_name + header(b"0")) * 2_000 + tar()
    bundle, peak = listing_and_peak_memory(content, name_characters=20_000)
    assert bundle.entries == [Entry(name, 0, "file", None)] * 20
    assert bundle.problem == "The archive's file names are too long to list all of them."
    assert peak < MIB


def test_reading_stops_when_the_time_is_up(monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(rules.gunzip, "monotonic", lambda: next(ticks))
    bundle = listing(header(b"0", 10 * MIB) + bytes(10 * MIB), seconds=20)
    assert (names(bundle), bundle.problem) == (["h"], "Reading the archive took too long.")
