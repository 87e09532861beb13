"""Hostile bundles are rejected with a reason, and write no files."""

import contextlib
import random
from time import monotonic

import pytest

from delivery.worker import submissions
from git_bundles import MAX_ADDED_LINES, MAX_INFLATED_BYTES, MAX_OBJECT_BYTES
from tests.git_bundles.bundles import (
    BLOB,
    COMMIT,
    OFS_DELTA,
    REF_DELTA,
    TAG,
    TREE,
    Pack,
    bundle_of_blobs,
    bundle_of_tree,
    object_name,
    offset_to,
    problem_of,
    read,
    varint,
)

DAMAGED = "The bundle is damaged."
LARGE = "A commit, tag or folder in the bundle is larger than 20 MiB."
LACKS = "The bundle is missing an object."
HEADER = "The bundle's header is damaged"
FILE = ("100644", b"a.txt")


def with_tree(*entries, objects=()):
    pack = Pack()
    for kind, content in objects:
        pack.add(kind, content)
    return bundle_of_tree(pack, pack.add_tree(*entries))


def with_file_name(name):
    return with_tree(("100644", name, object_name(BLOB, b"a\n")), objects=[(BLOB, b"a\n")])


def with_claimed_size(size):
    pack = Pack()
    pack.add(BLOB, b"a\n", size)
    return bundle_of_tree(pack, pack.add_tree((*FILE, object_name(BLOB, b"a\n"))))


def with_claimed_count(count):
    pack = Pack()
    pack.count = count
    return bundle_of_tree(pack, pack.add_tree())


def with_delta(content, kind=BLOB, base=b"base\n"):
    pack = Pack()
    offset = pack.add(kind, base)
    pack.add(OFS_DELTA, content, base=offset_to(pack.size - offset))
    return bundle_of_tree(pack, pack.add_tree((*FILE, object_name(BLOB, b"base\n"))))


def with_bases(kind, *bases):
    """A bundle with a delta for each base."""
    pack = Pack()
    for base in bases:
        pack.add(kind, varint(1) + varint(1) + b"\1a", base=base)
    return bundle_of_tree(pack, pack.add_tree())


def folders_in_folders(depth, width):
    """A tree with `width` to the power of `depth` files, in few objects."""
    pack = Pack()
    blob = pack.add_object(BLOB, b"a\n")
    tree = pack.add_tree((*FILE, blob))
    for _ in range(depth):
        tree = pack.add_tree(*(("40000", b"%d" % number, tree) for number in range(width)))
    return bundle_of_tree(pack, tree)


def tags_of_tags(count):
    pack = Pack()
    name, kind = pack.add_commit(pack.add_tree()), b"commit"
    for _ in range(count):
        lines = [b"object " + name.hex().encode(), b"type " + kind, b"tag t", b"", b"t\n"]
        name, kind = pack.add_object(TAG, b"\n".join(lines)), b"tag"
    return pack.bundle(name)


def many_files(count):
    pack = Pack()
    blob = pack.add_object(BLOB, b"a\n")
    return bundle_of_tree(pack, pack.add_tree(*(("100644", b"%06d" % n, blob) for n in range(count))))


def header(*lines):
    return b"\n".join([b"# v2 git bundle", *lines, b"", b""])


CASES = {
    "nothing": (b"", "The file is not a git bundle."),
    "zip archive": (b"PK\3\4" + bytes(100), "The file is not a git bundle."),
    "no end of the header": (b"# v2 git bundle\n" + b"a" * 100_000, HEADER),
    "endless header": (b"# v2 git bundle\n" + (b"0" * 40 + b" refs/heads/a\n") * 10_000, HEADER),
    "no reference": (header(), "The bundle must contain"),
    "no pack": (header(b"0" * 40 + b" HEAD"), DAMAGED),
    "damaged reference": (header(b"xyz HEAD"), HEADER),
    "unknown capability": (header(b"@object-format=sha256", b"0" * 40 + b" HEAD"), "The bundle's format"),
    "truncated": (bundle_of_blobs(a=b"a\n" * 1000)[:-60], DAMAGED),
    "more objects claimed": (with_claimed_count(7), DAMAGED),
    "too many objects claimed": (
        with_claimed_count(2**32 - 1),
        "The bundle contains more than 100,000 objects.",
    ),
    "size too small": (with_claimed_size(1), DAMAGED),
    "size too large": (with_claimed_size(100), DAMAGED),
    "size of many bytes": (with_claimed_size(2**70), DAMAGED),
    "cyclic deltas": (with_bases(REF_DELTA, b"\1" * 20, b"\2" * 20), DAMAGED),
    "delta of itself": (with_bases(OFS_DELTA, b"\0"), DAMAGED),
    "delta before the pack": (with_bases(OFS_DELTA, offset_to(2**40)), DAMAGED),
    "delta with a false size": (with_delta(varint(9) + varint(1) + b"\1a"), DAMAGED),
    "delta beyond its base": (with_delta(varint(5) + varint(9) + b"\x91\0\x64"), DAMAGED),
    "delta with an endless number": (with_delta(b"\x80" * 40), DAMAGED),
    "empty delta": (with_delta(b""), DAMAGED),
    "delta to a large folder": (with_delta(varint(0) + varint(2**34), TREE, b""), LARGE),
    "missing file": (with_tree((*FILE, b"\1" * 20)), LACKS),
    "missing folder": (with_tree(("40000", b"a", b"\1" * 20)), LACKS),
    "missing commit": (Pack().bundle(b"\1" * 20), LACKS),
    "missing tree": ((pack := Pack()).bundle(pack.add_commit(b"\1" * 20)), LACKS),
    "file as a folder": (
        with_tree(("40000", b"a", object_name(BLOB, b"x")), objects=[(BLOB, b"x")]),
        "An object in the bundle has an unexpected type",
    ),
    "head is a file": (
        (pack := Pack()).bundle(pack.add_object(BLOB, b"x")),
        "An object in the bundle has an unexpected",
    ),
    "damaged commit": ((pack := Pack()).bundle(pack.add_object(COMMIT, b"x")), "A commit or a tag"),
    "damaged folder": ((pack := Pack()) and bundle_of_tree(pack, pack.add_object(TREE, b"1")), "A folder in"),
    "short name in a folder": (
        (pack := Pack()) and bundle_of_tree(pack, pack.add_object(TREE, b"100644 a\0xyz")),
        "A folder in the bundle is damaged.",
    ),
    "too many tags": (tags_of_tags(9), "The bundle's reference has too many nested tags."),
    "name ..": (with_file_name(b".."), "A file name"),
    "name .git": (with_file_name(b".git"), "A file name"),
    "name .GIT": (with_file_name(b".GIT"), "A file name"),
    "name with a slash": (with_file_name(b"../x"), "A file name"),
    "absolute name": (with_file_name(b"/etc/passwd"), "A file name"),
    "empty name": (with_file_name(b""), "A file name"),
    "a name twice": (
        with_tree(*[(*FILE, object_name(BLOB, b"a\n"))] * 2, objects=[(BLOB, b"a\n")]),
        "A folder in the bundle contains a name twice.",
    ),
    "long name": (with_file_name(b"a" * 5_000), "A path in the bundle is longer"),
    "folder bomb": (folders_in_folders(10, 10), "The folders in the bundle have more than"),
    "deep folders": (folders_in_folders(300, 1), "Folders in the bundle are nested more than"),
    "no file": (with_tree(), "The bundle contains no file."),
    "only folders": (
        with_tree(("40000", b"a", object_name(TREE, b"")), objects=[(TREE, b"")]),
        "The bundle contains no file.",
    ),
    "many files": (many_files(20_001), "More than 20,000 files differ from the base."),
}


@pytest.mark.parametrize(("content", "problem"), CASES.values(), ids=CASES.keys())
def test_a_hostile_bundle_is_rejected_with_the_reason(content, problem, tmp_path):
    assert problem_of(content, tmp_path).startswith(problem)
    assert {file.name for file in tmp_path.iterdir()} == {"read.bundle", "read.jsonl"}


def test_a_large_file_does_not_hide_small_ones(tmp_path):
    content = bundle_of_blobs(a=b"\n" * MAX_ADDED_LINES, b=b"pasted\n")
    large, small = read(content, tmp_path)[1:]
    assert (large["path"], large["isTooLarge"]) == ("a", True)
    assert (small["path"], small["linesAdded"]) == ("b", 1)


@pytest.mark.slow
def test_many_versions_of_a_large_file_do_not_hide_small_ones(tmp_path):
    pack, large = Pack(), bytes(MAX_OBJECT_BYTES + 1)
    first = pack.add_object(BLOB, large)
    copy = b"\xf0\xff\xff\xff" + b"\xf7\xff\xff\xff" + (len(large) - 0xFFFFFF).to_bytes(3, "little")
    entries = [("100644", b"small", pack.add_object(BLOB, b"pasted\n"))]
    for number in range(30):
        end = bytes([number])
        pack.add(REF_DELTA, varint(len(large)) + varint(len(large) + 1) + copy + b"\1" + end, base=first)
        entries.append(("100644", b"large%d" % number, object_name(BLOB, large + end)))
    *versions, small = read(bundle_of_tree(pack, pack.add_tree(*entries)), tmp_path)[1:]
    assert [file["size"] for file in versions] == [len(large) + 1] * 30
    assert (small["path"], small["linesAdded"]) == ("small", 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_bundle_is_read_or_rejected(seed, tmp_path):
    chance = random.Random(seed)
    content = bytearray(bundle_of_blobs(a=b"a\n" * 100, b=chance.randbytes(200), c=b"c\n"))
    for _ in range(chance.randrange(1, 4)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    with contextlib.suppress(submissions.Unreadable):
        assert read(bytes(content), tmp_path)[0]["isVerified"]


def inflating_to(size, kind=BLOB, count=1):
    """A bundle of objects of this size, compressed to a thousandth."""
    pack = Pack()
    for number in range(count):
        pack.add(kind, bytes(size - 8) + number.to_bytes(8))
    return bundle_of_tree(pack, pack.add_tree())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda: inflating_to(MAX_OBJECT_BYTES + 1, TREE), LARGE),
        (
            lambda: inflating_to(MAX_OBJECT_BYTES, count=MAX_INFLATED_BYTES // MAX_OBJECT_BYTES + 1),
            "The objects in the bundle are larger than 200 MiB in total.",
        ),
        (lambda: inflating_to(8, count=100_001), "The bundle contains more than 100,000 objects."),
    ],
    ids=["object size", "total size", "objects"],
)
def test_a_decompression_bomb_is_rejected(content, problem, tmp_path):
    started_at = monotonic()
    assert problem_of(content(), tmp_path) == problem
    assert monotonic() - started_at < 30
