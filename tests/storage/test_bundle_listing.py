import gzip
import io
import random
import tarfile
import tracemalloc

import pytest

import storage.gunzip
from storage.bundle_listing import Entry, ListingLimits, list_bundle

MIB = 1024 * 1024
DAMAGED = "The bundle is not a gzip-compressed tar archive, or it is damaged."
TRUNCATED = "The bundle is truncated."
AFTER = Entry("after", 1, "file", None)


def member(name: str, type=tarfile.REGTYPE, size=0, linkname="", **pax_headers) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.pax_headers = type, size, linkname, pax_headers
    return info


def tar(*members, format=tarfile.PAX_FORMAT, **pax_headers) -> bytes:
    """A tar of `(name, contents)` or of TarInfo objects, whose contents are zeros."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format, pax_headers=pax_headers) as archive:
        for each in members:
            info, contents = (each, None) if isinstance(each, tarfile.TarInfo) else (member(each[0]), each[1])
            info.size = info.size if contents is None else len(contents)
            archive.addfile(info, io.BytesIO(contents or bytes(info.size)))
    return file.getvalue()


def listing(content: bytes, **limits):
    """The listing of a tar that is compressed first."""
    return list_bundle(io.BytesIO(gzip.compress(content, 1)), ListingLimits(**limits))


def names(found) -> list[str]:
    return [entry.name for entry in found.entries]


def header(type: bytes, size=0, format=tarfile.USTAR_FORMAT, **changes) -> bytes:
    """A header block. `changes` such as `at124=b"..."` overwrite its bytes."""
    block = bytearray(member("h", type, size).tobuf(format))
    for place, value in changes.items():
        start = int(place.removeprefix("at"))
        block[start : start + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def extension(type: bytes, content: bytes) -> bytes:
    return header(type, len(content)) + content + bytes(-len(content) % 512)


def record(keyword: bytes, value: bytes) -> bytes:
    """A PAX record, whose length counts its own digits."""
    length = len(keyword) + len(value) + 3
    return b"%d %b=%b\n" % (length + len(str(length + len(str(length)))), keyword, value)


# Complete bundles


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_types_and_sizes_are_listed(format):
    files = [
        ("README.md", b"hello"),
        ("app.py", b"x" * 513),
        ("empty", b""),
        ("d" * 80 + "/" + "f" * 90, b"y"),
    ]
    found = listing(tar(*files, member("src", tarfile.DIRTYPE), format=format))
    files_listed = [Entry(name, len(contents), "file", None) for name, contents in files]
    assert found == ([*files_listed, Entry("src", 0, "directory", None)], None)
    assert listing(tar()) == ([], None)


def test_the_listing_equals_that_of_the_standard_library():
    rng = random.Random(3)
    for _ in range(60):
        lengths = [rng.randint(1, 600) for _ in range(rng.randint(0, 12))]
        random_names = ["".join(rng.choices("ab/é€😀 .", k=length)).strip("/. ") or "x" for length in lengths]
        files = [(name, bytes(rng.randint(0, 3000))) for name in random_names]
        content = tar(*files, format=rng.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            expected = [(each.name, each.size) for each in archive]
        found = listing(content)
        assert [(entry.name, entry.size) for entry in found.entries] == expected
        assert found.problem is None


def test_a_source_may_return_few_bytes_at_a_time():
    class Slow(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(min(size, 7))

    content = gzip.compress(tar(("a", b"1" * 5000), ("b", b"2")))
    assert names(list_bundle(Slow(content))) == ["a", "b"]


# Unsafe entries


UNSAFE_NAMES = {
    "absolute path": ["/etc/passwd", "\\windows\\system", "C:/windows"],
    "out of the folder": ["../outside", "a/../../outside", "a\\..\\..\\outside", ".."],
    "not plain text": ["line\nfeed", "escape\x1b[31m"],
    "longer than 1000": ["n" * 1001],
}


@pytest.mark.parametrize(
    ("name", "reason"), [(name, reason) for reason, group in UNSAFE_NAMES.items() for name in group]
)
def test_an_unsafe_name_is_listed_with_the_reason(name, reason):
    found = listing(tar((name, b"1"), ("after", b"2")))
    assert reason in found.entries[0].unsafe
    assert found.entries[1:] == [AFTER]
    assert found.problem is None


@pytest.mark.parametrize("name", ["..hidden", "a..b", "...", "a/b..", "C", "a/b:c"])
def test_dots_and_colons_in_a_name_are_safe(name):
    assert listing(tar((name, b""))).entries == [Entry(name, 0, "file", None)]


@pytest.mark.parametrize(("name", "shown"), [("caf\udce9", "caf\ufffd"), ("n" * 5000, "n" * 1000)])
def test_a_name_is_made_safe_to_display(name, shown):
    [entry] = listing(tar((name, b""), format=tarfile.GNU_FORMAT)).entries
    assert entry.name == shown
    assert entry.unsafe


OTHER_TYPES = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "named pipe": tarfile.FIFOTYPE,
    "unknown": b"Z",
}


@pytest.mark.parametrize(("shown", "type"), OTHER_TYPES.items())
def test_other_types_are_unsafe(shown, type):
    found = listing(tar(member("evil", type, linkname="/etc/passwd"), ("after", b"2")))
    unsafe = f"Type is {shown}; only files and directories are safe."
    assert found.entries == [Entry("evil", 0, shown, unsafe), AFTER]


def test_a_link_has_no_contents_whatever_size_it_claims():
    found = listing(header(tarfile.SYMTYPE, at124=b"00000001000\0") + tar(("after", b"1")))
    assert [(entry.name, entry.size) for entry in found.entries] == [("h", 0), ("after", 1)]


def test_sparse_files_in_both_formats_are_unsafe():
    old = header(tarfile.GNUTYPE_SPARSE, at482=b"\1") + bytes(504) + b"\1" + bytes(7) + bytes(512)
    new = member("GNUSparseFile.0/new", size=3, **{"GNU.sparse.major": "1"})
    found = listing(old + tar(new, ("after", b"1")))
    assert [entry.type for entry in found.entries] == ["sparse file", "sparse file", "file"]
    assert [bool(entry.unsafe) for entry in found.entries] == [True, True, False]


# Extended headers


def test_a_global_header_names_all_entries():
    found = listing(tar(("safe", b""), ("safe too", b""), path="/etc/passwd"))
    assert found.entries == [Entry("/etc/passwd", 0, "file", "Name is an absolute path.")] * 2


def test_a_size_in_an_extended_header_wins():
    contents = b"abc".ljust(512)
    file = extension(tarfile.XHDTYPE, record(b"size", b"3")) + header(b"0") + contents
    found = listing(file + tar(("after", b"1")))
    assert [(entry.name, entry.size) for entry in found.entries] == [("h", 3), ("after", 1)]


def test_an_oversized_extended_header_is_skipped():
    found = listing(tar(member("x", comment="c" * 5 * MIB), ("after", b"1")))
    assert found.entries[0].name == "x"
    assert "too large to read" in found.entries[0].unsafe
    assert found.entries[1:] == [AFTER]


@pytest.mark.parametrize(
    "records",
    [
        *b"abc\n|8 path=a\n|99 path=a\n|0 path=a\n|1 path=a\n|10 path a\n|\xb2 a=b\n|-1 path=a\n".split(b"|"),
        b"9" * 5000,
        *(record(b"size", size) for size in (b"-1", b"1e9", b"9" * 4000, b"", b"0x10", "²".encode())),
    ],
)
def test_a_damaged_extended_header_ends_the_listing(records):
    assert listing(extension(tarfile.XHDTYPE, records) + tar(("after", b"1"))) == ([], DAMAGED)


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\xff" * 11])
def test_a_negative_or_absurd_size_ends_the_listing(size):
    assert listing(header(b"0", at124=size) + tar(("after", b"1"))) == ([], DAMAGED)


# Damage


NO_BUNDLES = {
    "empty": (b"", TRUNCATED),
    "text": (b"no gzip", DAMAGED),
    "gzip magic": (b"\x1f\x8b", TRUNCATED),
    "plain tar": (tar(("a", b"1")), DAMAGED),
    "empty gzip": (gzip.compress(b""), TRUNCATED),
    "short gzip": (gzip.compress(b"short"), TRUNCATED),
    "gzip of text": (gzip.compress(b"x" * 512), DAMAGED),
}


@pytest.mark.parametrize(("body", "problem"), NO_BUNDLES.values(), ids=NO_BUNDLES)
def test_a_file_that_is_no_bundle_has_a_problem(body, problem):
    assert list_bundle(io.BytesIO(body)) == ([], problem)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_bundle_is_listed_to_its_end(share):
    contents = random.Random(1).randbytes(50_000)
    whole = gzip.compress(tar(("a", b"1"), ("b", contents), ("c", b"2")))
    found = list_bundle(io.BytesIO(whole[: int(len(whole) * share)]))
    assert (names(found), found.problem) == (["a", "b"], TRUNCATED)


@pytest.mark.parametrize(
    ("end", "problem"), [(b"", TRUNCATED), (b"x" * 512, DAMAGED), (header(b"0")[:-1] + b"x", DAMAGED)]
)
def test_a_bundle_with_a_bad_end_is_not_complete(end, problem):
    found = listing(tar(("a", b"1"))[:1024] + end)
    assert (names(found), found.problem) == (["a"], problem)


@pytest.mark.parametrize(
    ("before", "after"), [(bytes, gzip.compress), (gzip.compress, bytes)], ids=["uncompressed", "compressed"]
)
def test_flipped_bytes_never_raise(before, after):
    whole = before(tar(("a", b"1" * 600), ("é" * 90, b"2"), member("l", tarfile.SYMTYPE, linkname="x")))
    rng = random.Random(5)
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        list_bundle(io.BytesIO(after(damaged)))


# Limits


def listing_and_peak_memory(content: bytes, **limits):
    source = io.BytesIO(gzip.compress(content, 1))
    tracemalloc.start()
    found = list_bundle(source, ListingLimits(**limits))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, peak


def test_a_listing_has_a_maximum_of_entries():
    content = tar(*((f"f{number}", b"") for number in range(12)))
    assert listing(content, entries=12).problem is None
    found = listing(content, entries=11)
    assert (len(found.entries), found.problem) == (11, "The bundle has more than 11 entries.")


@pytest.mark.parametrize(
    ("start", "block", "names_listed"),
    [
        (header(b"0", 24 * MIB), bytes(512), ["h"]),
        (header(tarfile.GNUTYPE_SPARSE, at482=b"\1"), b"00000000001\0" * 42 + b"\1" + bytes(7), []),
        (b"", header(tarfile.XHDTYPE), []),
        (b"", header(tarfile.XGLTYPE), []),
        (b"", header(tarfile.GNUTYPE_LONGNAME), []),
    ],
    ids=["contents", "sparse map", "extended headers", "global headers", "long names"],
)
def test_a_bomb_is_read_to_the_limit_with_flat_memory(start, block, names_listed):
    found, peak = listing_and_peak_memory(start + block * 8_000, content_bytes=2 * MIB)
    assert names(found) == names_listed
    assert found.problem == "The bundle has more contents than a listing reads."
    assert peak < MIB


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_many_pax_records_take_no_memory(kind):
    keywords = (b"%d" % number for number in range(40_000))
    headers = [
        extension(kind, b"".join(record(next(keywords), b"") for _ in range(4_000))) for _ in range(10)
    ]
    found, peak = listing_and_peak_memory(b"".join(headers) + tar(("after", b"1")))
    assert found == ([AFTER], None)
    assert peak < MIB


def test_a_claim_of_terabytes_costs_nothing():
    found = listing(header(b"0", 2**50, tarfile.GNU_FORMAT))
    assert found == ([Entry("h", 2**50, "file", None)], TRUNCATED)


def test_reading_stops_when_the_time_is_up(monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(storage.gunzip, "monotonic", lambda: next(ticks))
    found = listing(header(b"0", 10 * MIB) + bytes(10 * MIB), seconds=20)
    assert (names(found), found.problem) == (["h"], "Reading the bundle took too long.")


def test_only_the_first_gzip_member_is_read():
    content = gzip.compress(b"") * 200_000 + gzip.compress(tar(("a", b"1")))
    assert list_bundle(io.BytesIO(content)) == ([], TRUNCATED)
