"""The workspace script in a real shell, with git, curl and the running service."""

import os
import pty
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from rules import workspace_files
from tests.live.candidate_machine import REPOSITORY, Machine, git, needs_programs, set_commit
from tests.live.cast import make_keys

SESSION = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"
KEY = "PST-ABCD-2345"
# Programs that the script starts. Wrappers record their arguments and environment.
RECORDED = (
    "curl",
    "git",
    "tar",
    "sed",
    "tr",
    "mkdir",
    "mv",
    "cp",
    "rm",
    "cat",
    "grep",
    "dirname",
    "chmod",
    "wc",
    "sort",
    "head",
    "sleep",
)
RECORDER = '#!/bin/sh\n{{ echo "$0 $*"; env; }} >>"$RECORD"\nexec {program} "$@"\n'

pytestmark = needs_programs


def files_with(text: str, folder: Path) -> set[str]:
    """Return the names of files below a folder that contain the text."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.name for path in files if text.encode() in path.read_bytes()}


def test_script_prepares_commit_task_and_settings(machine, key):
    prepared = machine.prepare(key)
    assert prepared.returncode == 0, prepared.stderr
    workspace = machine.workspace
    assert (workspace / "orders.py").read_text() == "print(1)\n"
    assert git(workspace, "rev-list", "--count", "HEAD") == "1"
    assert git(workspace, "status", "--porcelain") == ""
    assert (workspace / "TASK.md").read_text() == "# Backend API Challenge\n\nFix it.\n"
    assert (workspace / ".claude/settings.local.json").exists()
    assert f"cd '{workspace}'" in prepared.stdout
    assert "./submit" in prepared.stdout


def test_key_is_stored_only_in_private_files_outside_the_workspace(machine, key):
    assert machine.prepare(key).returncode == 0
    (state,) = (machine.home / ".proofstone").iterdir()
    assert files_with(key, machine.folder) == set()
    assert files_with(key, machine.home) >= {"key", "header"}
    for path in [state.parent, state, *state.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.usefixtures("running_worker")
def test_key_is_not_passed_to_programs_as_argument_or_variable(machine, key, tmp_path):
    record, bin = tmp_path / "record", tmp_path / "bin"
    bin.mkdir()
    for name in RECORDED:
        (bin / name).write_text(RECORDER.format(program=shutil.which(name)))
        (bin / name).chmod(0o755)
    path = {"PATH": f"{bin}:{os.environ['PATH']}", "RECORD": str(record), "key": "exported"}
    assert machine.prepare(key, **path).returncode == 0
    assert machine.submit(**path).returncode == 0
    recorded = record.read_text()
    assert all(f"{bin}/{name} " in recorded for name in ("curl", "git", "tar"))
    assert key not in recorded


def test_key_is_read_from_the_terminal_without_echo(machine, key):
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(machine.folder)
        os.execvpe("sh", ["sh", "-c", f"sh <{machine.script}"], machine.environment(TERM="dumb"))
    output = b""
    while b"it is not shown): " not in output:
        output += os.read(terminal, 1000)
    os.write(terminal, f"  {key.lower()}\n".encode())
    try:
        while chunk := os.read(terminal, 1000):
            output += chunk
    except OSError:  # The script has exited.
        pass
    _, status = os.waitpid(child, 0)
    assert (status, b"Your workspace is ready" in output) == (0, True)
    assert key.lower().encode() not in output.lower()


def test_running_the_script_again_repairs_the_workspace_and_keeps_the_work(machine, key):
    machine.prepare(key)
    (machine.workspace / "orders.py").write_text("print(2)\n")
    (machine.workspace / "submit").unlink()
    (machine.workspace / ".claude/settings.local.json").write_text("{}")
    for cwd in (machine.folder, machine.workspace):
        assert machine.prepare(cwd=cwd).returncode == 0
    assert (machine.workspace / "orders.py").read_text() == "print(2)\n"
    assert (machine.workspace / "submit").exists()
    assert "claude-code" in (machine.workspace / ".claude/settings.local.json").read_text()
    assert [path.name for path in machine.folder.iterdir()] == ["assessment"]


def test_a_failed_clone_leaves_a_workspace_that_the_next_run_completes(machine, key):
    hidden = machine.origin.rename(machine.origin.with_name("hidden"))
    failed = machine.prepare(key)
    assert (failed.returncode, "Could not fetch" in failed.stderr) == (1, True)
    assert "Your session is running" in failed.stderr
    assert "run this again" in failed.stderr
    assert "ready, without the repository" in failed.stdout
    assert (machine.workspace / "TASK.md").read_text() == "# Backend API Challenge\n\nFix it.\n"
    for name in ("submit", ".claude/settings.local.json"):
        assert (machine.workspace / name).exists()
    hidden.rename(machine.origin)
    assert machine.prepare().returncode == 0
    assert (machine.workspace / "orders.py").exists()
    assert git(machine.workspace, "status", "--porcelain") == ""


@pytest.mark.parametrize("values", [{"commit": "0" * 40}, {"commit": "main"}, {"repository": "file:///etc"}])
def test_an_unusable_repository_leaves_a_workspace(hostile, values):
    machine, files = hostile
    machine.commit(orders_py="print(1)\n")
    files |= {"repository": REPOSITORY, "subdir": "services"} | values
    failed = machine.prepare(KEY)
    assert (failed.returncode, "Your session is running" in failed.stderr) == (1, True)
    assert {path.name for path in machine.workspace.iterdir()} == {".git", "TASK.md", "submit"}


def test_commits_made_after_a_failed_clone_are_kept(machine, key):
    hidden = machine.origin.rename(machine.origin.with_name("hidden"))
    machine.prepare(key)
    hidden.rename(machine.origin)
    git(machine.workspace, "commit", "-q", "--allow-empty", "-m", "Mine")
    kept = machine.prepare(cwd=machine.workspace)
    assert (kept.returncode, "run this in another folder" in kept.stderr) == (1, True)
    assert git(machine.workspace, "log", "--format=%s") == "Mine"


def test_the_repositorys_files_replace_those_that_a_failed_clone_left(hostile):
    machine, files = hostile
    (machine.origin / "submit").mkdir()
    (machine.origin / "submit/a").write_text("Ours\n")
    machine.commit(TASK_md="Ours\n")
    files |= {"repository": REPOSITORY}
    hidden = machine.origin.rename(machine.origin.with_name("hidden"))
    assert "Could not fetch" in machine.prepare(KEY).stderr
    hidden.rename(machine.origin)
    prepared = machine.prepare(KEY)
    assert prepared.returncode == 0, prepared.stderr
    assert (machine.workspace / "TASK.md").read_text() == "Ours\n"
    (machine.workspace / "submit/b").write_text("new\n")
    assert git(machine.workspace, "status", "--porcelain") == "?? submit/b"


def test_the_repositorys_files_are_not_overwritten(machine, key, service):
    (machine.origin / ".claude").mkdir()
    (machine.origin / ".claude/settings.local.json").write_text("{}")
    set_commit(service, key, machine.commit(TASK_md="Ours\n", submit="Ours\n"))
    prepared = machine.prepare(key)
    assert prepared.returncode == 0, prepared.stderr
    assert (machine.workspace / "TASK.md").read_text() == "Ours\n"
    assert (machine.workspace / ".claude/settings.local.json").read_text() == "{}"
    (state,) = (machine.home / ".proofstone").iterdir()
    for text in (f"Your task is in {state}/TASK.md", f"--settings '{state}/claude.json'", f"{state}/submit"):
        assert text in prepared.stdout
    assert git(machine.workspace, "status", "--porcelain") == ""


def test_a_folder_with_other_content_is_not_changed(machine, key, empty_key):
    machine.workspace.mkdir()
    (machine.workspace / "mine").write_text("mine")
    rejected = machine.prepare(key)
    assert (rejected.returncode, "is not empty" in rejected.stderr) == (1, True)
    (machine.workspace / "mine").unlink()
    assert machine.prepare(key).returncode == 0
    other = machine.prepare(empty_key)
    assert (other.returncode, "belongs to another assessment" in other.stderr) == (1, True)


@pytest.mark.usefixtures("running_worker")
def test_the_shells_variables_are_ignored(machine, key, tmp_path):
    (tmp_path / "elsewhere/assessment").mkdir(parents=True)
    elsewhere = str(tmp_path / "elsewhere")
    variables = {"CDPATH": elsewhere, "GIT_DIR": elsewhere, "GIT_INDEX_FILE": f"{elsewhere}/index"}
    assert machine.prepare(key, **variables).returncode == 0
    assert machine.submit(**variables).returncode == 0
    assert (machine.workspace / "TASK.md").exists()
    assert list((tmp_path / "elsewhere").rglob("*")) == [tmp_path / "elsewhere/assessment"]


def test_invalid_and_unused_keys_are_explained(machine, reviewer, assessment):
    for text, sentence in (("PST-AAAA", "looks like PST-ABCD-EFGH"), (KEY, "key is invalid")):
        assert sentence in machine.prepare(text).stderr
    unused = make_keys(reviewer, assessment, 1)[0]["key"]
    assert "press Start on your page" in machine.prepare(unused).stderr
    assert list(machine.folder.iterdir()) == []
    assert list((machine.home / ".proofstone").iterdir()) == []


# A hostile service


@pytest.fixture
def hostile(tmp_path) -> Iterator[tuple[Machine, dict[str, str]]]:
    """A machine, and the files that its service sends."""
    files = {
        "session": SESSION,
        "TASK.md": "$(touch PWNED)",
        "tools": "claude\n$(touch PWNED)\n`touch PWNED`\n",
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            packed = workspace_files.archive(files)
            self.send_response(200)
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Machine(tmp_path, f"http://127.0.0.1:{server.server_port}"), files
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "values",
    [
        {"repository": "--upload-pack=touch PWNED"},
        {"repository": "ext::sh -c touch% PWNED"},
        {"repository": "file:///etc"},
        {"repository": "$(touch PWNED)"},
        {"repository": "https://git.example.com/$(touch PWNED)"},
        {"repository": "https://git.example.com/`touch PWNED`"},
        {"repository": "https://git.example.com/a\ntouch PWNED"},
        {"repository": "ssh://-oProxyCommand=touch%20PWNED/x"},
        {"repository": REPOSITORY, "commit": "--upload-pack=touch PWNED"},
        {"repository": REPOSITORY, "commit": "$(touch PWNED)"},
        {"repository": REPOSITORY, "commit": "main:refs/heads/main"},
        {"repository": REPOSITORY, "subdir": "$(touch PWNED)"},
        {"repository": REPOSITORY, "subdir": "../../home"},
        {"repository": REPOSITORY, "subdir": "; touch PWNED"},
        {"repository": REPOSITORY, "subdir": "link"},
        {"session": "../../work"},
        {"session": "$(touch PWNED)"},
        {"session": ""},
    ],
    ids=lambda values: repr(values)[:60],
)  # fmt: skip
def test_hostile_data_is_not_executed(hostile, values):
    machine, files = hostile
    (machine.origin / "link").symlink_to(machine.home)
    machine.commit(orders_py="print(1)\n")
    files |= values
    machine.prepare(KEY, GIT_ALLOW_PROTOCOL="file:https")
    assert not list(machine.home.parent.rglob("PWNED"))
    assert {path.name for path in machine.home.iterdir()} == {".gitconfig", ".proofstone"}
    assert {path.name for path in machine.folder.iterdir()} <= {"assessment"}


def test_a_linked_settings_folder_is_not_followed(hostile):
    machine, files = hostile
    (machine.origin / ".claude").symlink_to(machine.home)
    machine.commit(orders_py="print(1)\n")
    files |= {"repository": REPOSITORY, "claude.json": "{}"}
    assert machine.prepare(KEY).returncode == 0
    assert not (machine.home / "settings.local.json").exists()


def test_settings_are_placed_in_the_subfolder(hostile):
    machine, files = hostile
    (machine.origin / "services/[a] b").mkdir(parents=True)
    (machine.origin / "services/[a] b/x").write_text("x")
    machine.commit()
    files |= {"repository": REPOSITORY, "subdir": "services/[a] b", "claude.json": "{}"}
    prepared = machine.prepare(KEY)
    work = machine.workspace / "services/[a] b"
    assert (prepared.returncode, f"cd '{work}'" in prepared.stdout) == (0, True)
    assert {path.name for path in work.iterdir()} == {"x", "TASK.md", "submit", ".claude"}
    assert git(machine.workspace, "status", "--porcelain") == ""


def test_no_tool_is_suggested_if_none_is_allowed(hostile):
    machine, files = hostile
    machine.commit(orders_py="print(1)\n")
    files |= {"repository": REPOSITORY, "tools": ""}
    prepared = machine.prepare(KEY)
    assert (prepared.returncode, "Your task is in TASK.md." in prepared.stdout) == (0, True)
    assert "Start a tool" not in prepared.stdout


def test_a_truncated_script_does_nothing(hostile):
    machine, _ = hostile
    text = machine.script.read_text()
    for length in range(0, text.rindex("main "), 97):
        machine.script.write_text(text[:length])
        machine.prepare(KEY)
        assert list(machine.folder.iterdir()) == []
        assert {path.name for path in machine.home.iterdir()} == {".gitconfig"}
