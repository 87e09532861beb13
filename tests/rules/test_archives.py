"""Archives that reviewers upload: every unsafe one is rejected with a message that names the entry."""

import gzip
import io
import random
import stat
import tarfile
import tracemalloc
import zipfile
from contextlib import suppress

import pytest

from rules.archives import TAR, ZIP, ArchiveFile, Limits, UnreadableArchive, read_files, write_tar

MIB = 1024 * 1024
LIMITS = Limits(files=100, bytes=MIB, file_bytes=MIB // 2)


def make_zip(*entries):
    """Build a zip archive of (name, content, Unix mode)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr, entry.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return file.getvalue()


def make_tar(*entries):
    """Build a tar.gz of (name, content, Unix mode)."""
    file = io.BytesIO()
    types = {stat.S_IFLNK: tarfile.SYMTYPE, stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFDIR: tarfile.DIRTYPE}
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content, mode in entries:
            header = tarfile.TarInfo(name)
            header.type, header.mode = types.get(stat.S_IFMT(mode), tarfile.REGTYPE), stat.S_IMODE(mode)
            header.linkname, header.size = "/etc/passwd" * stat.S_ISLNK(mode), len(content)
            archive.addfile(header, io.BytesIO(content))
    return file.getvalue()


MAKERS = {ZIP: make_zip, TAR: make_tar}


def read(content, format, limits=LIMITS):
    return list(read_files(io.BytesIO(content), format, limits))


def problem_of(content, format, limits=LIMITS):
    with pytest.raises(UnreadableArchive) as error:
        read(content, format, limits)
    return str(error.value)


@pytest.fixture(params=[ZIP, TAR])
def format(request):
    return request.param


def test_files_are_read_in_order(format):
    long_path = "é" * 100 + "/b"
    content = MAKERS[format](
        ("./src/", b"", 0o40755),
        ("__MACOSX/._a", b"", 0o644),
        ("./src/run.sh", b"1" * 512, 0o755),
        (long_path, b"2" * 600, 0o644),
    )
    assert read(content, format) == [
        ArchiveFile("src/run.sh", True, b"1" * 512), ArchiveFile(long_path, False, b"2" * 600)
    ]  # fmt: skip
    assert read(MAKERS[format](), format) == []


@pytest.mark.parametrize(
    ("name", "mode", "problem"),
    [
        ("../a", 0o644, "`../a` points outside the folder."),
        ("a/../../b", 0o644, "`a/../../b` points outside the folder."),
        ("/etc/passwd", 0o644, "`/etc/passwd` is an absolute path."),
        ("C:a", 0o644, "`C:a` is an absolute path."),
        ("a\\b", 0o644, "`a\\b` contains a backslash or is not plain text."),
        ("a\nb", 0o644, "`a b` contains a backslash or is not plain text."),
        ("x/.Git/config", 0o644, "`x/.Git/config` is in a .git folder; leave that out."),
        ("a" * 256, 0o644, f"`{'a' * 197}...` is longer than 400 bytes, or a name in it than 255."),
        ("a", stat.S_IFLNK | 0o777, "`a` is a link or a special file; only files and folders are allowed."),
        ("a", stat.S_IFIFO | 0o644, "`a` is a link or a special file; only files and folders are allowed."),
        (".", 0o644, "`` is not the name of a file."),
    ],
)
def test_unsafe_entries_are_rejected_by_name(format, name, mode, problem):
    content = b"/etc/passwd" if format == ZIP and stat.S_ISLNK(mode) else b""
    assert problem_of(MAKERS[format](("ok", b"", 0o644), (name, content, mode)), format) == problem


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("a", "./a"), "`a` appears twice."),
        (("a", "a/b"), "`a/b` is both a file and a folder."),
        (("a/b/c", "a/b"), "`a/b` is both a file and a folder."),
    ],
)
def test_conflicting_entries_are_rejected(format, names, problem):
    assert problem_of(MAKERS[format](*((name, b"", 0o644) for name in names)), format) == problem


def test_sizes_and_counts_are_limited(format):
    make = MAKERS[format]
    files = [(f"{number}", bytes(MIB // 4), 0o644) for number in range(5)]
    assert len(read(make(*files[:4]), format)) == 4
    assert problem_of(make(*files), format) == "The archive is larger than 1 MiB when unpacked."
    limits = LIMITS._replace(file_bytes=2 * MIB, bytes=4 * MIB)
    assert problem_of(make(("a", bytes(3 * MIB), 0o644)), format, limits) == "`a` is larger than 2 MiB."
    many = make(*((f"{number}", b"", 0o644) for number in range(101)))
    assert problem_of(many, format) == "The archive contains more than 100 entries."


def test_bombs_take_little_memory():
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(200 * MIB))
    declared = (200 * MIB).to_bytes(4, "little")
    assert bomb.getvalue().count(declared) == 2
    for content, format in (
        (bomb.getvalue(), ZIP),
        (bomb.getvalue().replace(declared, bytes(4)), ZIP),
        (bomb.getvalue().replace(declared, (100_000).to_bytes(4, "little")), ZIP),
        (make_zip(*((f"{number:0300}", b"", 0o644) for number in range(20_000))), ZIP),
        (make_tar(*((f"{number}", bytes(MIB // 2), 0o644) for number in range(99))), TAR),
    ):
        tracemalloc.start()
        problem_of(content, format)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "The archive is not a zip archive, or it is damaged."),
        (
            b"PK\x06\x07" + bytes(16) + make_zip()[-22:],
            "The archive is a zip64 archive, which is not supported.",
        ),
    ],
)
def test_other_zip_files_are_rejected(content, problem):
    assert problem_of(content, ZIP) == problem


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unbounded_compression_methods_are_rejected(method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("a", b"1")
    problem = "`a` is encrypted or compressed in an unsupported way."
    assert problem_of(file.getvalue(), ZIP) == problem


def test_damaged_archives_raise_only_archive_errors(format):
    content = MAKERS[format](("a/b", b"1" * 600, 0o644), ("é" * 90, b"2" * 70, 0o755))
    generator = random.Random(5)
    for _ in range(400):
        damaged = bytearray(content if format == ZIP else gzip.decompress(content))
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        damaged = damaged[: generator.choice([len(damaged), generator.randrange(len(damaged))])]
        with suppress(UnreadableArchive):
            read(bytes(damaged) if format == ZIP else gzip.compress(damaged, 1), format)


def test_the_same_files_give_the_same_tar(format):
    files = [("b/c", b"1", 0o644), ("a", b"2", 0o755)]
    tars = []
    for entries in (files, files[::-1]):
        output = io.BytesIO()
        write_tar(read(MAKERS[format](*entries), format), output)
        tars.append(output.getvalue())
    assert tars[0] == tars[1]
    assert read(tars[0], TAR) == [ArchiveFile("a", True, b"2"), ArchiveFile("b/c", False, b"1")]
