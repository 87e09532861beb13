"""Build a task's repository from an archive, and export a bundle's files."""

import io
import tarfile
import zipfile

import pytest

from git_bundles import MAX_MEMORY_BYTES, MEGABYTE, Unreadable, process
from git_bundles.process import Interrupted
from tests.git_bundles.bundles import (
    BLOB,
    Pack,
    bundle,
    bundle_of_blobs,
    bundle_of_tree,
    commit,
    git,
    make_repository,
)

FILES = {"run.sh": b"#!/bin/sh\n", "src/a.py": b"a\n", "src/b.py": b"a\n"}


def make_zip(files, mode=0o644):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o755 if name.endswith(".sh") else mode) << 16
            archive.writestr(entry, data)
    return content.getvalue()


def make_tar(files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


@pytest.fixture
def build(tmp_path):
    """Build a repository. Returns its commit's id and the bundle."""

    def build(content, format):
        with open(tmp_path / "archive", "w+b") as archive, open(tmp_path / "built", "w+b") as output:
            archive.write(content)
            archive.seek(0)
            return process.build(archive, format, output), output.read()

    return build


@pytest.fixture
def export(tmp_path):
    """Export a bundle's files. Returns their tar entries with the content or the link's target, by name."""

    def export(content):
        with open(tmp_path / "bundle", "w+b") as bundle_file, open(tmp_path / "tar", "w+b") as output:
            bundle_file.write(content)
            bundle_file.seek(0)
            process.export_files(bundle_file, output)
            with tarfile.open(fileobj=output, mode="r:") as archive:
                return {
                    entry.name: (
                        entry,
                        entry.linkname if entry.issym() else archive.extractfile(entry).read(),
                    )
                    for entry in archive
                }

    return export


def files_of(content, tmp_path):
    (tmp_path / "clone.bundle").write_bytes(content)
    git(tmp_path, "clone", "-q", "clone.bundle", "clone")
    assert git(tmp_path / "clone", "fsck", "--strict") == ""
    paths = git(tmp_path / "clone", "ls-files").split("\n")
    return {path: (tmp_path / "clone" / path).read_bytes() for path in paths}


def test_every_format_results_in_the_same_commit(build, tmp_path):
    folder = tmp_path / "work"
    make_repository(folder, {"solution.py": "secret", **FILES})
    (folder / "run.sh").chmod(0o755)
    commit(folder, {"solution.py": None})
    uploads = [(bundle(folder), "git"), (make_zip(FILES), "zip"), (make_tar(FILES), "tar.gz")]
    root = {f"orders-main/{name}": data for name, data in reversed(FILES.items())}
    dotted = {f"./{name}": data for name, data in FILES.items()}
    uploads += [(make_zip(root | {"__MACOSX/._a": b""}), "zip"), (make_tar(root), "tar.gz")]
    uploads += [(make_tar(dotted), "tar.gz")]
    commits, bundles = zip(*(build(*upload) for upload in uploads), strict=True)
    assert len(set(commits)) == 1
    assert build(bundles[1], "git")[0] == commits[0]
    assert bundles[0].startswith(b"# v2 git bundle\n%b HEAD\n" % commits[0].encode())
    assert files_of(bundles[0], tmp_path) == FILES
    assert git(tmp_path / "clone", "rev-list", "--all") == commits[0]
    assert git(tmp_path / "clone", "symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_bundles_single_folder_is_kept(build, tmp_path):
    make_repository(tmp_path / "work", {"src/a.py": "a"})
    _, content = build(bundle(tmp_path / "work"), "git")
    assert files_of(content, tmp_path) == {"src/a.py": b"a"}


def link_bundle(**links):
    pack = Pack()
    entries = [("120000", name.encode(), pack.add_object(BLOB, text)) for name, text in sorted(links.items())]
    folder = pack.add_tree(*entries)
    return bundle_of_tree(
        pack, pack.add_tree(("100644", b"a", pack.add_object(BLOB, b"a")), ("40000", b"d", folder))
    )


INSIDE = {"x": b"../a", "y": b"b/c", "z": b"./q"}
OUTSIDE = (b"/etc/passwd", b"../../a", b"b/../../../a", b"../d/x/../../..", b"", b"a\0b", b"x" * 5_000)


def submodule():
    pack = Pack()
    return bundle_of_tree(pack, pack.add_tree(("160000", b"lib", bytes(20))))


def test_links_within_the_repository_are_kept(build, export):
    _, content = build(link_bundle(**INSIDE), "git")
    exported = export(content)
    assert {name: target for name, (entry, target) in exported.items() if entry.issym()} == {
        f"d/{name}": target.decode() for name, target in INSIDE.items()
    }


@pytest.mark.parametrize("target", OUTSIDE)
def test_links_that_leave_the_repository_are_rejected_or_omitted(build, export, target):
    with pytest.raises(Unreadable, match="d/x is a link that leaves the repository"):
        build(link_bundle(x=target), "git")
    assert export(link_bundle(x=target)).keys() == {"a"}


def test_exported_files_have_content_mode_and_no_owner(export, tmp_path):
    folder = tmp_path / "work"
    make_repository(folder, FILES)
    (folder / "run.sh").chmod(0o755)
    commit(folder, {"ä" * 120: b"\0\xff"})
    exported = export(bundle(folder))
    assert {name: content for name, (_, content) in exported.items()} == FILES | {"ä" * 120: b"\0\xff"}
    assert (exported["run.sh"][0].mode, exported["src/a.py"][0].mode) == (0o755, 0o644)
    assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry, _ in exported.values()} == {
        (0, 0, "", 1_767_225_600)
    }
    assert export(submodule()) == {}


def test_files_too_large_to_show_are_exported(export):
    large = bytes(25 * MEGABYTE)
    exported = export(bundle_of_blobs(a=b"a", large=large))
    assert {name: content for name, (_, content) in exported.items()} == {"a": b"a", "large": large}


@pytest.mark.parametrize(
    ("content", "format", "message"),
    [
        (b"", "git", "not a git bundle"),
        (bundle_of_blobs(a=b"a")[:-1], "git", "damaged"),
        (b"PK", "zip", "damaged"),
        (b"", "tar.gz", "truncated"),
        (make_tar(FILES)[:60], "tar.gz", "truncated"),
        (make_zip({}), "zip", "no files"),
        (make_tar({}), "tar.gz", "no files"),
        (bundle_of_tree(pack := Pack(), pack.add_tree()), "git", "no files"),
        (submodule(), "git", "lib is a submodule"),
        (make_zip({".git/config": b"", "a": b""}), "zip", "`.git/config` is in a .git folder"),
        (make_zip({"a": b"", "a/b": b""}), "zip", "`a/b` is both a file and a folder"),
        (make_tar({"a": b"", "b": b""} | {"../a": b""}), "tar.gz", "../a"),
        (make_zip({"x/" * 300 + "a": b""}), "zip", "longer than 400 bytes"),
        (make_zip({"a": bytes(21 * MEGABYTE)}), "zip", "larger"),
        (make_tar({f"{number}": bytes(19 * MEGABYTE) for number in range(6)}), "tar.gz", "larger"),
        (bundle_of_blobs(a=bytes(21 * MEGABYTE)), "git", "a is larger than 20 MiB"),
        (bundle_of_blobs(**{f"a{n}": bytes(19 * MEGABYTE + n) for n in range(6)}), "git", "larger than 100 MiB"),
    ],
    ids=range(17),
)  # fmt: skip
def test_the_reason_names_what_cannot_be_read(build, content, format, message):
    with pytest.raises(Unreadable, match=message):
        build(content, format)


def many_references(levels=6, width=20):
    """A small bundle with one file of 1 MiB at `width ** levels` paths."""
    pack = Pack()
    target, mode = pack.add_object(BLOB, bytes(MEGABYTE)), "100644"
    for _ in range(levels):
        target = pack.add_tree(*((mode, b"%02d" % number, target) for number in range(width)))
        mode = "40000"
    return bundle_of_tree(pack, target)


@pytest.mark.parametrize(("levels", "width"), [(6, 20), (2, 20)])
def test_a_small_bundle_with_many_paths_is_rejected(build, export, levels, width):
    content = many_references(levels, width)
    for read in (export, lambda content: build(content, "git")):
        with pytest.raises(Unreadable, match=r"200,000 entries|larger than [12]00 MiB"):
            read(content)


def test_an_interrupted_process_is_reported(build, export, monkeypatch):
    monkeypatch.setattr("git_bundles.process.COMMAND", ("false",))
    with pytest.raises(Interrupted):
        export(b"")
    with pytest.raises(Unreadable, match="interrupted"):
        build(b"", "zip")
    assert MAX_MEMORY_BYTES == 512 * MEGABYTE
