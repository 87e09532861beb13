"""Bundles created by git: full, shallow and partial bundles, and all kinds of changed files."""

import os
import random
import re
import shutil
import subprocess

import pytest

from git_bundles import MAX_ADDED_LINES, MAX_NAMED_BYTES, MAX_OBJECT_BYTES, MEGABYTE
from tests.git_bundles.bundles import bundle, commit, git, make_repository, problem_of, read

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

START = {
    "orders.py": "import json\n\n\ndef load():\n    return json\n",
    "README.md": "Orders\n",
    "old.txt": "x\n",
}
FULL_ID = re.compile("[0-9a-f]{40}")


@pytest.fixture
def repository(tmp_path):
    make_repository(tmp_path / "work", START)
    return tmp_path / "work"


@pytest.fixture
def base(repository):
    return git(repository, "rev-parse", "HEAD")


def by_path(lines):
    return {line["path"]: line for line in lines[1:]}


def test_the_diff_has_the_files_that_differ_from_the_base(repository, base, tmp_path):
    work = {
        "orders.py": START["orders.py"].replace("json", "csv"),
        "new/file.txt": "one\n\ntwo",
        "old.txt": None,
    }
    head = commit(repository, work)
    commits, *files = read(bundle(repository), tmp_path, base)
    assert commits == {"head": head, "base": base, "isVerified": True}
    assert [file["path"] for file in files] == ["new/file.txt", "old.txt", "orders.py"]
    details = {(f["path"], f["status"], f["linesAdded"], f["linesRemoved"]) for f in files}
    assert details == {
        ("new/file.txt", "added", 3, 0),
        ("old.txt", "deleted", 0, 1),
        ("orders.py", "modified", 2, 2),
    }
    assert by_path([commits, *files])["new/file.txt"]["diff"] == (
        "--- /dev/null\n+++ b/new/file.txt\n@@ -0,0 +1,3 @@\n+one\n+\n+two\n\\ No newline at end of file\n"
    )


def test_git_can_apply_the_diffs(repository, base, tmp_path):
    work = {
        "orders.py": "import csv\n" + START["orders.py"] + "\nprint(1)",
        "a/b.txt": "1\r\n2\n",
        "README.md": "",
    }
    commit(repository, work)
    _, *files = read(bundle(repository), tmp_path, base)
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    git(repository, "reset", "-q", "--hard", base)
    patch = "".join(file["diff"] for file in files).encode()
    subprocess.run(["git", "-C", repository, "apply", "--index", "-"], input=patch, check=True)
    assert git(repository, "write-tree") == tree


@pytest.mark.parametrize("length", [40, 12, 7])
def test_an_abbreviated_base_is_verified(repository, base, tmp_path, length):
    commit(repository, {"a.txt": "a\n"})
    assert read(bundle(repository), tmp_path, base[:length])[0]["isVerified"] is True


def as_cloned(clone):
    """A shallow clone with one more commit."""
    commit(clone, {"b.txt": "b\n"})


def unshallowed(clone):
    commit(clone, {"b.txt": "b\n"})
    git(clone, "fetch", "-q", "--unshallow")


def detached(clone):
    git(clone, "checkout", "-q", "--detach")
    commit(clone, {"b.txt": "b\n"})


def orphaned(clone):
    git(clone, "checkout", "-q", "--orphan", "squashed")
    commit(clone, {"b.txt": "b\n"})


@pytest.mark.parametrize("work", [as_cloned, unshallowed, detached, orphaned])
def test_any_history_is_compared_with_the_assessments_or_the_workspaces_commit(repository, tmp_path, work):
    start, clone = commit(repository, {"a.txt": "a\n"}), tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "clone")
    git(clone, "update-ref", "refs/proofstone/base", start)
    work(clone)
    head = git(clone, "rev-parse", "HEAD")
    git(clone, "update-ref", "refs/proofstone/submission", head)
    content = bundle(clone, "refs/proofstone/submission", "refs/proofstone/base")
    for base, is_verified in ((start, True), (None, False)):
        commits, *files = read(content, tmp_path, base)
        assert commits == {"head": head, "base": start, "isVerified": is_verified}
        assert [file["path"] for file in files] == ["b.txt"]
    assert read(content, tmp_path, "0" * 40) == [{"head": head, "base": None, "isVerified": False}]
    assert read(bundle(clone), tmp_path, None) == [{"head": head, "base": None, "isVerified": False}]


def test_all_files_are_added_without_a_repository(repository, tmp_path):
    commits, *files = read(bundle(repository), tmp_path, "empty")
    assert (commits["base"], commits["isVerified"]) == (None, True)
    assert {(file["path"], file["status"]) for file in files} == {(name, "added") for name in START}


def test_a_base_on_a_different_branch_is_verified(repository, base, tmp_path):
    git(repository, "checkout", "-q", "--orphan", "squashed")
    commit(repository, {"orders.py": "pass\n"})
    commits, *files = read(bundle(repository, "HEAD", "main"), tmp_path, base)
    assert (commits["base"], commits["isVerified"]) == (base, True)
    assert [file["path"] for file in files] == ["orders.py"]


def test_a_single_reference_can_have_any_name_or_be_an_annotated_tag(repository, base, tmp_path):
    head = commit(repository, {"a.txt": "a\n"})
    git(repository, "update-ref", "refs/proofstone/submission", head)
    git(repository, "tag", "-a", "-m", "Done", "done")
    for name in ("refs/proofstone/submission", "done"):
        assert read(bundle(repository, name), tmp_path, base)[0]["head"] == head


def test_several_references_without_head_are_rejected(repository, tmp_path):
    git(repository, "branch", "other")
    assert "HEAD" in problem_of(bundle(repository, "main", "other"), tmp_path)


def test_a_bundle_with_missing_commits_is_rejected(repository, base, tmp_path):
    commit(repository, {"a.txt": "a\n"})
    problem = problem_of(bundle(repository, f"{base}..HEAD"), tmp_path, base)
    assert problem == "The bundle depends on commits that it does not contain."


def test_a_sha_256_repository_is_rejected(tmp_path):
    git(tmp_path, "init", "-q", "--object-format=sha256", "work")
    commit(tmp_path / "work", {"a.txt": "a\n"})
    assert "Only SHA-1" in problem_of(bundle(tmp_path / "work"), tmp_path)


def test_renames_links_modes_binary_files_and_submodules_are_described(repository, base, tmp_path):
    git(repository, "mv", "old.txt", "renamed.txt")
    (repository / "link").symlink_to("../../etc/passwd")
    (repository / "README.md").chmod(0o755)
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{base},module")
    (repository / "image.bin").write_bytes(b"\x89PNG\0\1\2")
    git(repository, "add", "image.bin", "link", "README.md")
    git(repository, "commit", "-q", "-m", "Work")
    files = by_path(read(bundle(repository), tmp_path, base))
    assert files.keys() == {"README.md", "image.bin", "link", "module", "renamed.txt"}
    assert (files["renamed.txt"]["status"], files["renamed.txt"]["oldPath"]) == ("renamed", "old.txt")
    assert (files["renamed.txt"]["linesAdded"], files["renamed.txt"]["diff"]) == (0, "")
    assert (files["README.md"]["oldMode"], files["README.md"]["newMode"]) == ("100644", "100755")
    assert (files["link"]["newMode"], files["module"]["newMode"]) == ("120000", "160000")
    assert files["link"]["diff"].endswith("+../../etc/passwd\n\\ No newline at end of file\n")
    assert files["module"]["linesAdded"] == 0
    assert files["image.bin"]["isBinary"] is True
    assert "diff" not in files["image.bin"]


def test_invalid_utf_8_in_text_and_names_is_escaped(repository, base, tmp_path):
    (repository / b"caf\xe9.txt".decode("utf-8", "surrogateescape")).write_bytes(b"caf\xe9\n")
    commit(repository, {"line\nbreak.txt": "a\n"})
    files = by_path(read(bundle(repository), tmp_path, base))
    assert files.keys() == {"caf\\xe9.txt", "line\nbreak.txt"}
    assert "+caf\ufffd\n" in files["caf\\xe9.txt"]["diff"]


def test_names_can_have_the_same_text(repository, tmp_path):
    (repository / "\\xff").write_text("a\n")
    base = commit(repository, {})
    (repository / os.fsdecode(b"\xff")).write_text("b\n")
    commit(repository, {"\\xff": "c\n"})
    files = read(bundle(repository), tmp_path, base)[1:]
    assert sorted((file["path"], file["status"]) for file in files) == [
        ("\\xff", "added"),
        ("\\xff", "modified"),
    ]


def test_a_name_cannot_look_like_a_part_of_the_diff(repository, base, tmp_path):
    name = "a\n@@ -1 +1 @@\n+fake"
    commit(repository, {name: "b\n"})
    (file,) = read(bundle(repository), tmp_path, base)[1:]
    assert file["path"] == name
    assert file["diff"] == '--- /dev/null\n+++ "b/a\\012@@ -1 +1 @@\\012+fake"\n@@ -0,0 +1 @@\n+b\n'


def test_a_file_can_become_a_folder(repository, base, tmp_path):
    commit(repository, {"old.txt": None})
    commit(repository, {"old.txt/inside.txt": "y\n"})
    files = by_path(read(bundle(repository), tmp_path, base))
    statuses = {name: file["status"] for name, file in files.items()}
    assert statuses == {"old.txt": "deleted", "old.txt/inside.txt": "added"}


MANY_LINES = b"a\n" * (MAX_ADDED_LINES + 1)


def random_file(size):
    return random.Random(0).randbytes(size)


@pytest.mark.slow
def test_files_that_are_too_large_are_listed_with_their_size(repository, base, tmp_path):
    """Git stores the two versions of `changed` as an object and a delta, and compresses `bomb` to 600 KiB."""
    large = random_file(MAX_OBJECT_BYTES + 1)
    commit(repository, {"changed": large, "gone": b"2" + large})
    start = commit(repository, {"orders.py": "a\n"})
    work = {"changed": large + b"1", "gone": None, "bomb": bytes(600 * MEGABYTE), "orders.py": "b\n"}
    work |= {"lines.csv": MANY_LINES}
    commit(repository, work)
    git(repository, "repack", "-q", "-a", "-d", "-f")
    files = by_path(read(bundle(repository), tmp_path, start))
    sizes = {path: file["size"] for path, file in files.items() if file["isTooLarge"]}
    size = MAX_OBJECT_BYTES + 1
    assert sizes == {"changed": size + 1, "gone": size + 1, "bomb": 600 * MEGABYTE} | {
        "lines.csv": len(MANY_LINES)
    }
    assert (files["orders.py"]["linesAdded"], files["gone"]["status"]) == (1, "deleted")
    assert not any("diff" in files[path] for path in sizes)


@pytest.mark.slow
def test_a_large_file_whose_delta_cannot_be_read_has_no_size(repository, base, tmp_path):
    large = random_file(MAX_NAMED_BYTES + 1)
    commit(repository, {"large": large})
    commit(repository, {"large": large + b"1", "orders.py": "b\n"})
    git(repository, "repack", "-q", "-a", "-d", "-f")
    files = by_path(read(bundle(repository), tmp_path, base))
    assert (files["large"]["isTooLarge"], files["orders.py"]["isTooLarge"]) == (True, False)
