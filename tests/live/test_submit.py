"""The workspace's `submit` in real shells, with git, curl and the running service."""

import os
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from git_bundles import MAX_TREE_DEPTH
from storage import MAX_BUNDLE_BYTES
from tests.live.candidate_machine import git, needs_programs, set_commit
from tests.live.service import wait_until

# Root can read every file, except without these capabilities.
UNPRIVILEGED = [shutil.which("setpriv"), "--bounding-set=-dac_override,-dac_read_search"] * (
    os.geteuid() == 0
)

pytestmark = [needs_programs, pytest.mark.usefixtures("running_worker")]


def submitted_files(workspace: Path) -> set[str]:
    return set(
        git(workspace, "ls-tree", "-rz", "--name-only", "refs/proofstone/submission").strip("\0").split("\0")
    )


def status_of(service, key: str) -> str:
    return service.candidate(key).get("/v1/candidate/workspace")["status"]


def test_submit_sends_all_but_ignored_files_and_completes_the_session(machine, key, service):
    machine.prepare(key)
    workspace = machine.workspace
    (workspace / "build").mkdir()
    for name, text in (("orders.py", "print(2)\n"), ("new.txt", "new\n"), ("build/out", "built\n")):
        (workspace / name).write_text(text)
    git(workspace, "add", "orders.py")
    (workspace / "orders.py").write_text("print(3)\n")
    before = git(workspace, "status", "--porcelain"), git(workspace, "rev-parse", "HEAD")
    result = machine.submit()
    assert result.returncode == 0, result.stderr
    state = service.candidate(key).get("/v1/candidate/workspace")
    assert result.stdout.splitlines()[-3:] == [
        f"Your work has been received: {state['submission']['size']} bytes. It is being read ...",
        "Your work has been read.",
        "Your session is complete. Thank you!",
    ]
    assert result.stderr == ""
    assert (git(workspace, "status", "--porcelain"), git(workspace, "rev-parse", "HEAD")) == before
    assert git(workspace, "ls-tree", "-r", "--name-only", "refs/proofstone/submission").split() == [
        ".gitignore",
        "new.txt",
        "orders.py",
    ]
    assert git(workspace, "show", "refs/proofstone/submission:orders.py") == "print(3)"
    assert git(workspace, "rev-parse", "refs/proofstone/submission^") == before[1]
    assert (state["status"], state["submission"]["format"]) == ("completed", "git")


def test_the_submitted_files_can_be_checked_out_of_the_bundle(machine, key, service, reviewer, tmp_path):
    """As in docs/workspace.md#the-final-diff."""
    machine.prepare(key)
    (machine.workspace / "new.txt").write_text("new\n")
    assert machine.submit().returncode == 0
    session = f"/v1/sessions/{service.candidate(key).get('/v1/candidate/workspace')['sessionId']}"
    (tmp_path / "work.bundle").write_bytes(reviewer.get(f"{session}/submission").text)
    head = reviewer.get(f"{session}/final-diff")["submission"]["headCommit"]
    git(tmp_path, "init", "submitted")
    for command in (("bundle", "unbundle", "../work.bundle"), ("checkout", head)):
        git(tmp_path / "submitted", *command)
    assert (tmp_path / "submitted" / "new.txt").read_text() == "new\n"
    assert (tmp_path / "submitted" / "orders.py").read_text() == "print(1)\n"


def test_submit_sends_a_change_of_equal_size_in_the_same_second(machine, key):
    machine.prepare(key)
    file, index = machine.workspace / "orders.py", machine.workspace / ".git/index"

    def changed_in_one_second() -> bool:
        second = int(time.time())
        file.write_text("print(2)\n")
        git(machine.workspace, "add", "orders.py")
        file.write_text("print(3)\n")
        return second == int(index.stat().st_mtime) == int(file.stat().st_mtime)

    wait_until(changed_in_one_second, "Each change took more than a second.")
    wait_until(lambda: int(time.time()) > int(file.stat().st_mtime), "The second did not end.")
    assert machine.submit().returncode == 0
    assert git(machine.workspace, "show", "refs/proofstone/submission:orders.py") == "print(3)"


def test_submit_sends_changes_that_git_was_told_to_ignore(machine, key, service):
    """Files marked as unchanged, or to be skipped, in the candidate's index."""
    for name in ("assumed ä", "skipped ä", "deleted"):
        (machine.origin / name).write_text("old\n")
    set_commit(service, key, machine.commit())
    machine.prepare(key)
    workspace = machine.workspace
    git(workspace, "update-index", "--assume-unchanged", "assumed ä", "orders.py")
    git(workspace, "update-index", "--skip-worktree", "skipped ä", "deleted", "orders.py")
    for name in ("assumed ä", "skipped ä", "orders.py"):
        (workspace / name).write_text("new\n")
    (workspace / "deleted").unlink()
    flags = git(workspace, "ls-files", "-v")
    submitted = machine.submit()
    assert (submitted.returncode, submitted.stderr) == (0, "")
    assert submitted_files(workspace) == {".gitignore", "assumed ä", "skipped ä", "orders.py"}
    for name in ("assumed ä", "skipped ä", "orders.py"):
        assert git(workspace, "show", f"refs/proofstone/submission:{name}") == "new"
    assert git(workspace, "ls-files", "-v") == flags


def test_submit_keeps_files_outside_a_sparse_checkout(machine, key, service):
    (machine.origin / "docs").mkdir()
    (machine.origin / "docs/guide.txt").write_text("guide\n")
    set_commit(service, key, machine.commit())
    machine.prepare(key)
    git(machine.workspace, "sparse-checkout", "set", "--no-cone", "/*", "!/docs/")
    assert not (machine.workspace / "docs").exists()
    (machine.workspace / "orders.py").write_text("new\n")
    assert machine.submit().returncode == 0
    assert submitted_files(machine.workspace) == {".gitignore", "docs/guide.txt", "orders.py"}


def test_submit_shows_why_work_cannot_be_read_and_keeps_the_session_open(machine, empty_key, service):
    machine.prepare(empty_key)
    deep = machine.workspace.joinpath(*["d"] * (MAX_TREE_DEPTH + 2))
    deep.mkdir(parents=True)
    (deep / "new.txt").write_text("new\n")
    unread = machine.submit()
    assert unread.returncode == 1
    assert "Your work has been received" in unread.stdout
    assert (
        "Your work could not be read: Folders in the bundle are nested more than 200 levels" in unread.stderr
    )
    assert "Then run this again." in unread.stderr
    assert status_of(service, empty_key) == "active"
    shutil.rmtree(machine.workspace / "d")
    empty = machine.submit()
    assert (empty.returncode, "Nothing was sent: the folder has no files" in empty.stderr) == (1, True)
    (machine.workspace / "new.txt").write_text("new\n")
    assert machine.submit().stdout.endswith("Your session is complete. Thank you!\n")


def test_submit_can_be_repeated(machine, empty_key, service):
    machine.prepare(empty_key)
    for text in ("one", "two"):
        (machine.workspace / "a.txt").write_text(text)
        assert machine.submit().returncode == 0
    assert status_of(service, empty_key) == "completed"


def test_submit_completes_the_session_if_its_state_cannot_be_read(machine, empty_key, service, tmp_path):
    machine.prepare(empty_key)
    (machine.workspace / "new.txt").write_text("new\n")
    curl = tmp_path / "bin/curl"
    curl.parent.mkdir()
    curl.write_text(
        f"""#!/bin/sh
case $* in *candidate/workspace) ;; *) exec {shutil.which("curl")} "$@" ;; esac
while [ "$1" != -o ]; do shift; done
echo '{{"error": "Not found."}}' >"$2"
echo >>"$HOME/polls"
printf 404
"""
    )
    curl.chmod(0o700)
    result = machine.submit(PATH=f"{curl.parent}:{os.environ['PATH']}")
    assert result.stdout.splitlines()[-2:] == [
        "Your work has not been read yet. Your page shows when it has been.",
        "Your session is complete. Thank you!",
    ]
    assert (machine.home / "polls").read_text() == "\n" * 5
    assert status_of(service, empty_key) == "completed"


def test_submit_works_after_it_was_killed(machine, empty_key):
    machine.prepare(empty_key)
    (machine.workspace / ".gitattributes").write_text("* filter=kill\n")
    git(machine.workspace, "config", "filter.kill.clean", "kill -9 0")
    assert machine.submit().returncode == -signal.SIGKILL
    git(machine.workspace, "config", "--unset", "filter.kill.clean")
    submitted = machine.submit()
    assert submitted.returncode == 0, submitted.stderr


def test_submit_says_that_nothing_was_sent_if_git_fails_without_a_message(machine, empty_key, service):
    """On a full disk, git cannot write its message."""
    machine.prepare(empty_key)
    (machine.workspace / ".gitattributes").write_text("* filter=kill\n")
    git(machine.workspace, "config", "filter.kill.clean", "kill -9 $PPID")
    failed = machine.submit()
    assert (failed.returncode, "Nothing was sent: git could not pack your work." in failed.stderr) == (
        1,
        True,
    )
    assert status_of(service, empty_key) == "active"
    git(machine.workspace, "config", "--unset", "filter.kill.clean")
    assert machine.submit().returncode == 0


def test_submit_names_the_largest_files_of_a_bundle_over_the_limit(machine, empty_key, service):
    machine.prepare(empty_key)
    workspace = machine.workspace
    for number in range(12):
        (workspace / f"größe {number}.bin").write_bytes(os.urandom(10_000 + 1000 * number))
    git(workspace, "add", "größe 11.bin")
    git(workspace, "commit", "-q", "-m", "Large")
    (workspace / "größe 11.bin").unlink()
    submit = workspace / "submit"
    script = submit.read_text()
    submit.write_text(script.replace(str(MAX_BUNDLE_BYTES), "20000"))
    rejected = machine.submit()
    assert rejected.returncode == 1
    assert "more than the limit of 20000" in rejected.stderr
    largest = re.findall(r"^  \d+ größe (\d+)\.bin$", rejected.stderr, re.MULTILINE)
    assert largest == [str(number) for number in range(11, 1, -1)]
    assert status_of(service, empty_key) == "active"
    submit.write_text(script)
    assert machine.submit().returncode == 0


def test_submit_lists_what_it_cannot_read_and_sends_the_rest(machine, key):
    machine.prepare(key)
    workspace = machine.workspace
    (workspace / "a b").mkdir()
    for name in ("a b/ä.txt", "new.txt"):
        (workspace / name).write_text("new\n")
    (workspace / "secret").mkdir()
    for name in ("a b/ä.txt", "secret"):
        (workspace / name).chmod(0)
    submitted = machine.run(*UNPRIVILEGED, "./submit", cwd=workspace)
    (workspace / "secret").chmod(0o700)
    assert submitted.returncode == 0, submitted.stderr
    assert "cannot read them:\n  a b/ä.txt\n  secret/\n" in submitted.stdout
    assert submitted_files(workspace) == {".gitignore", "new.txt", "orders.py"}


def test_submit_includes_the_files_of_nested_repositories(machine, key, service):
    """Except a submodule of the repository that the candidate has not changed."""
    machine.prepare(key)
    workspace = machine.workspace
    for name in ("new", 'new/deep "ä"', "committed", "empty"):
        git(workspace, "init", "-q", name)
    for name in ("new/a", 'new/deep "ä"/b', "committed/c"):
        (workspace / name).write_text("new\n")
    (workspace / "new/build").mkdir()
    (workspace / "new/build/out").write_text("built\n")
    git(workspace / "committed", "add", "c")
    git(workspace / "committed", "commit", "-q", "-m", "Nested")
    git(workspace, "add", "committed")
    git(workspace, "commit", "-q", "-m", "Nested")
    before = git(workspace, "status", "--porcelain")
    submitted = machine.submit()
    assert (submitted.returncode, submitted.stderr) == (0, "")
    nested = {"new/a", 'new/deep "ä"/b', "committed/c"}
    assert submitted_files(workspace) == {".gitignore", "orders.py"} | nested
    assert "Your work has been read." in submitted.stdout
    assert git(workspace, "status", "--porcelain") == before


def test_submit_keeps_submodules_that_have_not_changed(machine, key, service):
    library, allow_file = machine.origin.with_name("library"), ("-c", "protocol.file.allow=always")
    git(machine.origin, "init", "-q", str(library))
    git(library, "commit", "-q", "--allow-empty", "-m", "Library")
    for name in ("same", "changed"):
        git(machine.origin, *allow_file, "submodule", "add", "-q", str(library), name)
    set_commit(service, key, machine.commit())
    machine.prepare(key)
    git(machine.workspace, *allow_file, "submodule", "update", "-q", "--init")
    (machine.workspace / "changed/new").write_text("new\n")
    assert machine.submit().returncode == 0
    assert submitted_files(machine.workspace) >= {".gitmodules", "same", "changed/new"}
    assert git(machine.workspace, "ls-tree", "refs/proofstone/submission", "same").startswith("160000 commit")


@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox sh"])
def test_workspace_and_submit_run_in_other_shells(machine, key, shell, tmp_path):
    program, *options = shell.split()
    if shutil.which(program) is None:
        pytest.skip(f"Not installed: {program}.")
    if program == "busybox":  # Uses its own sed, sort and others.
        (tmp_path / "bin").mkdir()
        machine.run("busybox", "--install", "-s", str(tmp_path / "bin"))
    path = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    folder = "Anna's Prüfung"
    command = f'{shell} -s -- "{folder}" <{machine.script}'
    assert machine.run("sh", "-c", command, PROOFSTONE_KEY=key, **path).returncode == 0
    workspace = machine.folder / folder
    git(workspace, "init", "-q", "ä b")
    for name in ("ä b/c", "ö"):
        (workspace / name).write_text("new\n")
    (workspace / "ö").chmod(0)
    for _ in range(2):
        submitted = machine.run(*UNPRIVILEGED, program, *options, "submit", cwd=workspace, **path)
        assert (submitted.returncode, submitted.stderr) == (0, "")
        assert "cannot read them:\n  ö\n" in submitted.stdout
    assert submitted_files(workspace) == {".gitignore", "orders.py", "ä b/c"}
    submit = workspace / "submit"
    submit.write_text(submit.read_text().replace(str(MAX_BUNDLE_BYTES), "100"))
    rejected = machine.run(*UNPRIVILEGED, program, *options, "submit", cwd=workspace, **path)
    assert (rejected.returncode, " ä b/c\n" in rejected.stderr) == (1, True)


@pytest.mark.parametrize("live_database_url", ["sqlite"], indirect=True, scope="session")
def test_submit_tries_again_until_the_bundle_folder_is_back(machine, empty_key, service):
    """The bundle folder is a volume that is not mounted."""
    machine.prepare(empty_key)
    (machine.workspace / "new.txt").write_text("new\n")
    bundles, rejected = Path(service.settings["BUNDLE_FOLDER"]), "status=503"
    service.anonymous.get("/v1/ready")  # marks the folder
    before = service.log().count(rejected)
    bundles.rename(bundles.with_name("unmounted"))

    def mount_after_a_rejection():
        wait_until(lambda: service.log().count(rejected) > before, "The submission was not rejected.")
        bundles.with_name("unmounted").rename(bundles)

    with ThreadPoolExecutor(1) as threads:
        mounted = threads.submit(mount_after_a_rejection)
        submitted = machine.submit()
        mounted.result()
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert "Your session is complete." in submitted.stdout


def test_submit_keeps_the_session_open_if_the_upload_fails(machine, empty_key, service):
    machine.prepare(empty_key)
    (machine.workspace / "new.txt").write_text("new\n")
    submit = machine.workspace / "submit"
    script = submit.read_text()
    submit.write_text(script.replace(f":{service.port}", ":1").replace("--retry 3", ""))
    failed = machine.submit()
    assert (failed.returncode, "Run this again" in failed.stderr) == (1, True)
    assert status_of(service, empty_key) == "active"
    submit.write_text(script)
    assert machine.submit().returncode == 0


def test_submit_without_git_says_how_to_submit_the_files(machine, key, service, reviewer):
    machine.prepare(key)
    lost, other = machine.workspace, machine.folder / "other"
    (lost / "new.txt").write_text("new\n")
    shutil.rmtree(lost / ".git")
    failed = machine.submit()
    assert failed.returncode == 1
    assert failed.stderr == (
        "The folder's .git is missing or not the original one. Run the command on your page in another folder, copy "
        "your files there, but not .git, and run ./submit there.\n"
    )
    assert "is not empty" in machine.prepare(key).stderr
    assert machine.run("sh", str(machine.script), "other", PROOFSTONE_KEY=key).returncode == 0
    shutil.copytree(lost, other, dirs_exist_ok=True)
    submitted = machine.run("./submit", cwd=other)
    assert submitted.returncode == 0, submitted.stderr
    session = service.candidate(key).get("/v1/candidate/workspace")["sessionId"]
    diff = reviewer.get(f"/v1/sessions/{session}/final-diff")
    assert ([file["path"] for file in diff["files"]], diff["submission"]["baseVerified"]) == (
        ["new.txt"],
        True,
    )
    assert (lost / "new.txt").read_text() == "new\n"


def test_any_history_is_compared_with_the_commit_that_the_workspace_was_prepared_from(
    machine, key, service, reviewer
):
    """The assessment names no commit."""
    set_commit(service, key, None)
    machine.prepare(key)
    workspace, session = machine.workspace, service.candidate(key).get("/v1/candidate/workspace")["sessionId"]
    start = git(workspace, "rev-parse", "HEAD")
    histories = {
        "detached": ("checkout", "-q", "--detach"),
        "unshallowed": ("fetch", "-q", "--unshallow", str(machine.origin)),
        "orphaned": ("checkout", "-q", "--orphan", "fresh"),
        "without commits": ("update-ref", "-d", "HEAD"),
    }
    changed = set()
    for name, command in histories.items():
        changed.add(name)
        git(workspace, *command)
        (workspace / name).write_text("new\n")
        git(workspace, "add", "--all")
        git(workspace, "commit", "-q", "-m", "Work")
        if name == "without commits":
            git(workspace, *command)
        assert machine.submit().returncode == 0
        diff = reviewer.get(f"/v1/sessions/{session}/final-diff")
        submission = diff["submission"]
        assert (submission["baseCommit"], submission["baseVerified"]) == (start, False), name
        assert {file["path"] for file in diff["files"]} == changed, name
