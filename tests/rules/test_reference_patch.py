"""Patches that git writes give the files that git gives; others are rejected with file and hunk."""

import subprocess

import pytest

from rules.archives import ArchiveFile, UnreadableArchive
from rules.reference_patch import ReferencePatch
from tests.git_bundles.bundles import GIT_ENVIRONMENT, git, make_repository

LINES = "".join(f"{number}\n" for number in range(40))
FILES = {
    "edit.py": LINES,
    "windows.txt": "a\r\nb\rc\r\nd\r\n",
    "no newline": "1\n2",
    "delete.py": "gone\n",
    "old/name.py": LINES,
    "run.sh": "#!/bin/sh\n",
    "untouched": "same\n",
    "ünïcode": "1\n",
}


def change_all(folder):
    (folder / "edit.py").write_text(LINES.replace("3\n", "three\n").replace("35\n", ""))
    (folder / "windows.txt").write_bytes(b"a\r\nB\rc\r\nd\r\ne\r\n")
    (folder / "no newline").write_text("1\n2\n3")
    (folder / "delete.py").unlink()
    git(folder, "mv", "old/name.py", "new.py")
    (folder / "new.py").write_text(LINES.replace("20\n", "twenty\n"))
    (folder / "run.sh").chmod(0o755)
    (folder / "added/deep").mkdir(parents=True)
    (folder / "added/deep/empty").touch()
    (folder / "added/file").write_text("-- \nnew\n")
    (folder / "ünïcode").write_text("2\n")


def read(folder):
    names = git(folder, "ls-files", "-z", "-co").strip("\0").split("\0")
    paths = {name: folder / name for name in names if (folder / name).exists()}
    return {
        name: ArchiveFile(name, bool(path.stat().st_mode & 0o100), path.read_bytes())
        for name, path in paths.items()
    }


@pytest.mark.parametrize("command", [("diff", "--cached"), ("format-patch", "--stdout", "HEAD~1")])
def test_patches_from_git_apply(tmp_path, command):
    folder = tmp_path / "repository"
    make_repository(folder, FILES)
    before = read(folder)
    change_all(folder)
    after = read(folder)
    git(folder, "add", "-A")
    if command[0] == "format-patch":
        git(folder, "commit", "-qm", "Change all")
    patch = ReferencePatch(subprocess.check_output(["git", *command], cwd=folder, env=GIT_ENVIRONMENT))
    changed, deleted = patch.apply({path: file for path, file in before.items() if path in patch.paths})
    assert {file.path: file for file in changed} == {
        path: file for path, file in after.items() if before.get(path) != file
    }
    assert deleted == ["delete.py", "old/name.py"]
    assert "untouched" not in patch.paths


def patch_of(path="a", hunk="@@ -1 +1 @@\n-1\n+2\n", new=None):
    return f"diff --git a/{path} b/{new or path}\n--- a/{path}\n+++ b/{new or path}\n{hunk}".encode()


CREATE = b"diff --git a/a b/a\nnew file mode 100644\n--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+1\n"
DELETE = b"diff --git a/a b/a\ndeleted file mode 100644\n--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n"


@pytest.mark.parametrize(
    ("patch", "content", "problem"),
    [
        (b"", b"", "The patch contains no changes. Create it with `git diff`."),
        (b"--- a\n+++ b\n@@ -1 +1 @@\n-1\n+2\n", b"", "The patch contains no changes. Create it with `git diff`."),
        (b"diff --git a/a b/a\nnew mode x\n", b"", "The patch is damaged."),
        (b"diff --git a/\xff b/\xff\n--- a/\xff\n+++ b/\xff\n", b"", "The patch is damaged."),
        (patch_of("b"), b"1\n", "`b` is not in the repository."),
        (CREATE, b"1\n", "`a` is already in the repository."),
        (DELETE, b"1\n2\n", "The patch deletes `a`, but not all of its lines."),
        (patch_of(), b"2\n", "Hunk 1 of `a` does not apply to the repository."),
        (
            patch_of(hunk="@@ -1 +1 @@\n-1\n+2\n@@ -3 +3 @@\n-3\n+4\n@@ -5 +5 @@\n-5\n+6\n"),
            b"1\n2\n0\n4\n5\n",
            "Hunk 2 of `a` does not apply to the repository.",
        ),
        (patch_of(hunk="@@ -1,2 +1 @@\n-1\n+2\n"), b"1\n2\n", "Hunk 1 of `a` is incomplete."),
        (patch_of("../a"), b"", "`../a` points outside the folder."),
        (patch_of("a", new=".git/config"), b"1\n", "`.git/config` is in a .git folder; leave that out."),
        (
            b"diff --git a/a b/a\nnew file mode 120000\n--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+/etc/passwd\n",
            b"",
            "`a` is binary, a link or a submodule. Send an archive instead.",
        ),
        (
            b"diff --git a/a b/a\nindex 1..2 100644\nBinary files a/a and b/a differ\n",
            b"1\n",
            "`a` is binary, a link or a submodule. Send an archive instead.",
        ),
        (
            patch_of(hunk="@@ -1 +1 @@\n-1\n+2\n" * 200),
            b"1\n" * 10**6,
            "The patch is too large. Send an archive instead.",
        ),
    ],
)  # fmt: skip
def test_patches_that_do_not_apply_are_rejected(patch, content, problem):
    with pytest.raises(UnreadableArchive) as error:
        ReferencePatch(patch).apply({"a": ArchiveFile("a", False, content)})
    assert str(error.value) == problem
