"""A submitted zip archive is readable if all its files can be unpacked."""

import io
import stat
import zipfile

import pytest

from git_bundles import MAX_ZIP_BYTES, MEGABYTE, Unreadable, process

LINK = (stat.S_IFLNK | 0o777) << 16


def make_zip(method=zipfile.ZIP_STORED, force_zip64=False, attributes=0, **files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type, entry.external_attr = method, attributes
            with archive.open(entry, "w", force_zip64=force_zip64) as file:
                file.write(data)
    return content.getvalue()


def with_directory_field(offset, value, content):
    """Change a field of the first entry in the archive's directory."""
    entry = content.index(b"PK\1\2")
    return content[: entry + offset] + value + content[entry + offset + len(value) :]


def with_size(size, content):
    return with_directory_field(24, size.to_bytes(4, "little"), content)


@pytest.fixture
def check(tmp_path):
    def check(content):
        (tmp_path / "archive").write_bytes(content)
        with open(tmp_path / "archive", "rb") as archive, open(tmp_path / "output", "w+b") as output:
            process.run(("check",), archive, output)

    return check


@pytest.mark.parametrize(
    "content",
    [
        make_zip(**{".git/config": b"", "node_modules/a b\\ä": b"a"}),
        make_zip(attributes=LINK, a=b"/etc/passwd"),
        make_zip(force_zip64=True, a=b"a"),
        make_zip(zipfile.ZIP_DEFLATED, a=bytes(21 * MEGABYTE)),
        make_zip(zipfile.ZIP_BZIP2, a=b"a"),
        make_zip(zipfile.ZIP_LZMA, a=b"a"),
        b"before" + make_zip(a=b"a") + b"after",
    ],
    ids=["names", "links", "zip64", "large file", "bzip2", "lzma", "other bytes around it"],
)
def test_an_archive_of_any_files_can_be_read(check, content):
    check(content)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (make_zip(a=b"content").replace(b"content", b"garbage"), "The archive is damaged."),
        (make_zip(zipfile.ZIP_DEFLATED, a=b"content")[20:], "The archive is damaged."),
        (make_zip(**{"a/": b""}), "The archive contains no files."),
        (with_size(1, make_zip(zipfile.ZIP_DEFLATED, a=bytes(MEGABYTE))), "The archive is damaged."),
        (with_size(MAX_ZIP_BYTES + 1, make_zip(a=b"a")), "The files are larger than 2048 MiB in total."),
        (with_directory_field(8, b"\1", make_zip(a=b"a")), "a is encrypted or compressed in an unsupported way."),
        (with_directory_field(10, b"\x63", make_zip(a=b"a")), "a is encrypted or compressed in an unsupported way."),
    ],
    ids=["content", "start", "folder", "size", "bomb", "password", "method"],
)  # fmt: skip
def test_the_reason_says_why_an_archive_cannot_be_read(check, content, problem):
    with pytest.raises(Unreadable) as raised:
        check(content)
    assert str(raised.value) == problem


@pytest.mark.slow
def test_reading_is_limited_in_memory(check):
    """Python's bzip2 files are unpacked in blocks of unlimited size."""
    with pytest.raises(Unreadable, match="takes more than 512 MiB of memory"):
        check(make_zip(zipfile.ZIP_BZIP2, a=bytes(900 * MEGABYTE)))
