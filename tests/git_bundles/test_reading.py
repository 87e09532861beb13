"""Bundles created by git: full, shallow and partial bundles, and all kinds of changed files."""

import re
import shutil
import subprocess

import pytest

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


def test_a_shallow_clone_is_compared_with_its_start(repository, tmp_path):
    start = commit(repository, {"a.txt": "a\n"})
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "clone")
    head = commit(tmp_path / "clone", {"b.txt": "b\n"})
    for base, is_verified in ((start, True), (None, False), ("0" * 40, False)):
        commits, *files = read(bundle(tmp_path / "clone"), tmp_path, base)
        assert commits == {"head": head, "base": start, "isVerified": is_verified}
        assert [file["path"] for file in files] == ["b.txt"]


def test_a_full_history_without_the_base_has_no_diff(repository, tmp_path):
    head = commit(repository, {"b.txt": "b\n"})
    assert read(bundle(repository), tmp_path, "0" * 40) == [{"head": head, "base": None, "isVerified": False}]


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


def test_a_file_can_become_a_folder(repository, base, tmp_path):
    commit(repository, {"old.txt": None})
    commit(repository, {"old.txt/inside.txt": "y\n"})
    files = by_path(read(bundle(repository), tmp_path, base))
    statuses = {name: file["status"] for name, file in files.items()}
    assert statuses == {"old.txt": "deleted", "old.txt/inside.txt": "added"}
