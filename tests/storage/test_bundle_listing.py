import gzip
import io
import random
import tarfile
import time
import tracemalloc
import zlib

import pytest

from storage.bundle_listing import Entry, Listing, ListingLimits, list_bundle

MIB = 1024 * 1024


def tar(*members, format=tarfile.PAX_FORMAT) -> bytes:
    """A tar of `(name, contents)` or of TarInfo objects."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member, io.BytesIO(bytes(member.size)))
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def listed(content: bytes, **limits):
    """The listing of a tar that is compressed first."""
    return list_bundle(io.BytesIO(gzip.compress(content, 1)), ListingLimits(**limits))


def special(name: str, type: bytes, size=0, linkname="", **pax_headers) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.pax_headers = type, size, linkname, pax_headers
    return info


FORMATS = pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@FORMATS
def test_a_bundle_is_listed_with_names_and_sizes(format):
    members = [
        ("README.md", b"hello"),
        ("src/app.py", b"x" * 513),
        ("empty", b""),
        ("d" * 80 + "/" + "f" * 90, b"y"),
    ]
    found = listed(tar(*members, format=format))
    assert found.problem is None
    assert found.entries == [Entry(name, len(contents), "file", None) for name, contents in members]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_names_in_any_script_are_read(format):
    names = ["a/" * 200 + "end.py", "überprüfung/日本語.txt", "plain.txt"]
    found = listed(tar(*((name, b"1") for name in names), format=format))
    assert [entry.name for entry in found.entries] == names
    assert all(entry.unsafe is None for entry in found.entries)


def test_what_the_standard_library_reads_is_read_the_same():
    rng = random.Random(3)
    for _ in range(60):
        members = [
            (
                "".join(rng.choices("ab/é€😀 .", k=rng.randint(1, 250))).strip("/. ") or "x",
                bytes(rng.randint(0, 3000)),
            )
            for _ in range(rng.randint(0, 12))
        ]
        content = tar(*members, format=rng.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            expected = [(member.name, member.size) for member in archive]
        assert [(entry.name, entry.size) for entry in listed(content).entries] == expected


def test_an_empty_bundle_has_an_empty_list():
    assert listed(tar()) == ([], None)


def test_a_bundle_is_read_in_small_pieces_too():
    class Dripping(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(min(size, 7))

    content = gzip.compress(tar(("a", b"1" * 5000), ("b", b"2")))
    assert [entry.name for entry in list_bundle(Dripping(content)).entries] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "root of a disk"),
        ("\\windows\\system", "root of a disk"),
        ("C:/windows", "root of a disk"),
        ("../outside", "out of the folder"),
        ("a/../../outside", "out of the folder"),
        ("a\\..\\..\\outside", "out of the folder"),
        ("..", "out of the folder"),
        ("line\nfeed", "no plain text"),
        ("escape\x1b[31m", "no plain text"),
        ("n" * 1001, "too long"),
    ],
)
def test_a_dangerous_name_is_listed_with_the_reason(name, reason):
    found = listed(tar((name, b"1"), ("after", b"2")))
    assert found.problem is None
    assert reason in found.entries[0].unsafe
    assert found.entries[1] == Entry("after", 1, "file", None)


@pytest.mark.parametrize("name", ["..hidden", "a..b", "...", "a/b..", "C", "a/b:c"])
def test_a_harmless_name_with_points_has_no_reason(name):
    assert listed(tar((name, b""))).entries[0].unsafe is None


def test_a_name_that_is_no_utf_8_is_shown_with_replacement_characters():
    content = tar(("caf\udce9", b"1"), format=tarfile.GNU_FORMAT)
    assert listed(content).entries == [Entry("caf\ufffd", 1, "file", "Its name is no plain text.")]


def test_a_name_is_cut_where_it_is_too_long():
    assert listed(tar(("n" * 5000, b""))).entries[0].name == "n" * 1000


@pytest.mark.parametrize(
    ("type", "shown"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.FIFOTYPE, "named pipe"),
        (b"Z", "unknown"),
    ],
)
def test_what_is_no_file_is_listed_as_what_it_is(type, shown):
    found = listed(tar(special("evil", type, linkname="/etc/passwd"), ("after", b"2")))
    assert found.entries[0] == Entry("evil", 0, shown, f"Its type is {shown}; a bundle has files only.")
    assert found.entries[1].name == "after"


def test_a_directory_is_harmless():
    assert listed(tar(special("src", tarfile.DIRTYPE))).entries == [Entry("src", 0, "directory", None)]


def test_a_link_has_no_contents_whatever_its_header_tells():
    lying = bytearray(tar(special("link", tarfile.SYMTYPE, linkname="x"))[:512])
    lying[124:136] = b"00000001000\0"
    lying[148:156] = b" " * 8
    lying[148:155] = b"%06o\0" % sum(lying)
    found = listed(bytes(lying) + tar(("after", b"1")))
    assert [(entry.name, entry.size) for entry in found.entries] == [("link", 0), ("after", 1)]


def test_sparse_files_of_both_kinds_are_listed():
    old = special("old", tarfile.GNUTYPE_SPARSE)
    block = bytearray(tar(old, format=tarfile.GNU_FORMAT)[:512])
    block[482] = 1
    block[148:156] = b" " * 8
    block[148:155] = b"%06o\0" % sum(block)
    more = bytes(504) + b"\1" + bytes(7) + bytes(512)
    new = special("GNUSparseFile.0/new", tarfile.REGTYPE, size=3, **{"GNU.sparse.major": "1"})
    found = listed(bytes(block) + more + tar(new, ("after", b"1")))
    assert [(entry.type, bool(entry.unsafe)) for entry in found.entries] == [
        ("sparse file", True),
        ("sparse file", True),
        ("file", False),
    ]


def test_a_name_for_all_entries_is_read_as_tar_would():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", pax_headers={"path": "/etc/passwd"}) as archive:
        archive.addfile(tarfile.TarInfo("harmless"))
    found = listed(file.getvalue())
    assert [entry.name for entry in found.entries] == ["/etc/passwd"]
    assert found.entries[0].unsafe


def test_an_extended_header_of_megabytes_is_passed_over():
    found = listed(tar(special("x", tarfile.REGTYPE, comment="c" * 5 * MIB), ("after", b"1")))
    assert found.problem is None
    assert [entry.name for entry in found.entries] == ["x", "after"]
    assert "too large to read" in found.entries[0].unsafe


@pytest.mark.parametrize(
    "records",
    [
        b"abc\n",
        b"8 path=a\n",
        b"99 path=a\n",
        b"0 path=a\n",
        b"1 path=a\n",
        b"10 path a\n",
        b"\xb2 a=b\n",
        b"-1 path=a\n",
        b"9" * 5000,
    ],
)
def test_a_damaged_extended_header_ends_the_list(records):
    header = special("pax", tarfile.XHDTYPE, size=len(records))
    content = header.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0") + tar(("after", b"1"))
    found = listed(content)
    assert found.entries == []
    assert "damaged" in found.problem


@pytest.mark.parametrize("size", [b"-1", b"1e9", b"9" * 4000, b"", b"0x10", "²".encode()])
def test_a_senseless_size_ends_the_list(size):
    record = b" size=" + size + b"\n"
    record = str(len(record) + len(str(len(record) + 3))).encode() + record
    header = special("pax", tarfile.XHDTYPE, size=len(record))
    padded = record.ljust(-(-len(record) // 512) * 512, b"\0")
    found = listed(header.tobuf(tarfile.USTAR_FORMAT) + padded + tar(("after", b"1")))
    assert found.entries == []
    assert "damaged" in found.problem


def test_a_negative_size_ends_the_list():
    block = bytearray(tar(("a", b""))[:512])
    block[124:136] = b"\xff" * 12
    block[148:156] = b" " * 8
    block[148:155] = b"%06o\0" % sum(block)
    assert "damaged" in listed(bytes(block)).problem


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no gzip",
        b"\x1f\x8b",
        tar(("a", b"1")),
        gzip.compress(b""),
        gzip.compress(b"short"),
        gzip.compress(b"x" * 512),
    ],
    ids=["empty", "text", "cut magic", "plain tar", "empty gzip", "short gzip", "block of text"],
)
def test_what_is_no_bundle_has_a_problem_and_no_entries(body):
    found = list_bundle(io.BytesIO(body))
    assert found.entries == []
    assert found.problem


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_bundle_that_is_cut_off_shows_what_came(share):
    contents = random.Random(1).randbytes(50_000)
    whole = gzip.compress(tar(("a", b"1"), ("b", contents), ("c", b"2")))
    found = list_bundle(io.BytesIO(whole[: int(len(whole) * share)]))
    assert [entry.name for entry in found.entries] == ["a", "b"]
    assert "cut off" in found.problem


def test_flipped_bytes_never_raise():
    whole = gzip.compress(
        tar(("a", b"1" * 600), ("é" * 90, b"2"), special("l", tarfile.SYMTYPE, linkname="x"))
    )
    rng = random.Random(5)
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        list_bundle(io.BytesIO(bytes(damaged)))


def test_flipped_bytes_below_the_compression_never_raise():
    whole = tar(("a", b"1" * 600), ("é" * 90, b"2"), special("l", tarfile.SYMTYPE, linkname="x"))
    rng = random.Random(6)
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        listed(bytes(damaged))


def test_no_more_entries_than_the_limit_are_listed():
    content = tar(*((f"f{n}", b"") for n in range(12)))
    assert listed(content, entries=12).problem is None
    found = listed(content, entries=11)
    assert len(found.entries) == 11
    assert found.problem == "The bundle has more than 11 entries."


def bomb(mebibytes: int) -> bytes:
    """A tar of one file of zeros, compressed piece by piece."""
    compressor = zlib.compressobj(9, wbits=31)
    header = special("zeros", tarfile.REGTYPE, size=mebibytes * MIB).tobuf(tarfile.USTAR_FORMAT)
    pieces = [compressor.compress(header)]
    pieces += [compressor.compress(bytes(MIB)) for _ in range(mebibytes)]
    return b"".join([*pieces, compressor.compress(tar(("after", b"1"))), compressor.flush()])


def peak_memory(content: bytes, limits: ListingLimits) -> tuple[Listing, int]:
    source = io.BytesIO(content)
    tracemalloc.start()
    found = list_bundle(source, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, peak


def test_a_bomb_is_read_to_the_limit_with_flat_memory():
    found, peak = peak_memory(bomb(24), ListingLimits(content_bytes=16 * MIB))
    assert found.entries == [Entry("zeros", 24 * MIB, "file", None)]
    assert found.problem == "The bundle has more contents than are read for its list."
    assert peak < MIB


@pytest.mark.slow
def test_a_bomb_of_a_gigabyte_is_read_to_the_limit_within_its_time():
    content = bomb(1024)
    began = time.monotonic()
    assert list_bundle(io.BytesIO(content)).problem
    assert time.monotonic() - began < 11


def test_a_header_that_claims_terabytes_costs_nothing():
    content = special("huge", tarfile.REGTYPE, size=2**50).tobuf(tarfile.GNU_FORMAT)
    found = listed(content)
    assert found.entries == [Entry("huge", 2**50, "file", None)]
    assert "cut off" in found.problem


def test_reading_ends_when_the_time_is_up():
    ticks = iter(range(1000))
    found = list_bundle(io.BytesIO(bomb(10)), ListingLimits(seconds=20), lambda: next(ticks))
    assert found.problem == "Reading the bundle took too long."


def test_members_behind_the_first_are_not_read():
    empty = gzip.compress(b"")
    found = list_bundle(io.BytesIO(empty * 200_000 + gzip.compress(tar(("a", b"1")))))
    assert found.entries == []


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_endless_headers_before_an_entry_end_at_a_limit(kind):
    header = special("h", kind, size=0).tobuf(tarfile.USTAR_FORMAT)
    found = listed(header * 10_000, content_bytes=2 * MIB)
    assert found == ([], "The bundle has more contents than are read for its list.")
