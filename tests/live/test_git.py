"""Hosted repositories with git, the workspace script, and many or large clones."""

import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from blueprints.tasks.git import NOT_FOUND, READ_ONLY
from tests.live.candidate_machine import git, needs_programs
from tests.live.cast import make_keys, start_session

pytestmark = needs_programs

FILES = {"orders.py": "print(1)\n", "src/a.py": "a\n"}
ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_TERMINAL_PROMPT": "0", "HOME": "/nonexistent"}
LARGE_FILES, LARGE_FILE_BYTES = 50, 1024 * 1024


def run_git(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = ENVIRONMENT | variables
    return subprocess.run(["git", *arguments], env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def repository(assessment, host_repository):
    return host_repository(assessment, FILES)


@pytest.fixture
def url_of(service, reviewer, assessment, repository):
    """A function that starts a session, and returns its repository's URL on this machine."""

    def start() -> str:
        key = make_keys(reviewer, assessment, 1)[0]["key"]
        session = start_session(service, key)
        (token,) = service.execute(
            "SELECT repository_token FROM sessions WHERE id = %s", service.stored_id(session)
        )[0]
        return f"http://127.0.0.1:{service.port}/git/{token}/task.git"

    return start


@pytest.mark.parametrize("version", ["0", "1", "2"])
@pytest.mark.parametrize("options", [(), ("--depth", "1"), ("--bare",), ("--filter=blob:none",)])
def test_git_clones_with_each_protocol(url_of, repository, tmp_path, version, options):
    target = str(tmp_path / "work")
    done = run_git("-c", f"protocol.version={version}", "clone", "-q", *options, url_of(), target)
    assert done.returncode == 0, done.stderr
    assert git(tmp_path / "work", "rev-parse", "HEAD", "main") == "\n".join([repository.commit_id] * 2)
    assert (
        git(tmp_path / "work", "log", "--format=%an %ad %s", "--date=short") == "Proofstone 2026-01-01 Start"
    )
    assert git(tmp_path / "work", "fsck", "--strict") == ""


@pytest.mark.parametrize("version", ["0", "2"])
def test_git_fetches_the_commit_without_history(url_of, repository, tmp_path, version):
    work, url = tmp_path / "work", url_of()
    work.mkdir()
    git(work, "init", "-q")
    # Existing commits are sent as `have` lines, which git compresses.
    for number in range(60):
        git(work, "commit", "-q", "--allow-empty", "-m", str(number))
    git(work, "remote", "add", "origin", url)
    for commit in (repository.commit_id, "main", repository.commit_id):
        git(work, "-c", f"protocol.version={version}", "fetch", "-q", "--depth", "1", "origin", commit)
    assert git(work, "rev-parse", "FETCH_HEAD") == repository.commit_id
    git(work, "checkout", "-q", "FETCH_HEAD")
    assert (work / "src/a.py").read_text() == FILES["src/a.py"]
    assert git(work, "ls-remote", "origin", "HEAD").split()[0] == repository.commit_id


def test_git_shows_why_a_request_is_rejected(service, url_of, tmp_path):
    work, url = tmp_path / "work", url_of()
    assert run_git("clone", "-q", url, str(work)).returncode == 0
    pushed = run_git("-C", str(work), "push", "origin", "HEAD:refs/heads/other")
    assert f"remote: {READ_ONLY}" in pushed.stderr
    other = run_git("-C", str(work), "fetch", "origin", "1" * 40)
    assert other.returncode != 0
    key = "id = (SELECT key_id FROM sessions WHERE repository_token = %s)"
    service.execute(f"UPDATE candidate_keys SET revoked_at = created_at WHERE {key}", url.split("/")[4])
    rejected = run_git("-C", str(work), "fetch", "origin")
    assert NOT_FOUND[:60] in rejected.stderr


def test_no_log_contains_the_token(service, url_of, tmp_path):
    url = url_of()
    assert run_git("clone", "-q", url, str(tmp_path / "work")).returncode == 0
    assert "/git/{repositoryToken}/task.git/info/refs" in service.log()
    assert url.split("/")[4] not in service.log()


def test_workspace_script_fetches_the_hosted_repository(service, reviewer, assessment, repository, machine):
    key = make_keys(reviewer, assessment, 1)[0]["key"]
    start_session(service, key)
    rewrite = f'[url "http://127.0.0.1:{service.port}/git/"]\n\tinsteadOf = http://localhost:8000/git/\n'
    (machine.home / ".gitconfig").write_text(rewrite)
    prepared = machine.prepare(key, GIT_ALLOW_PROTOCOL="http")
    assert prepared.returncode == 0, prepared.stderr
    workspace = machine.workspace
    assert git(workspace, "rev-parse", "HEAD", "refs/proofstone/base") == "\n".join(
        [repository.commit_id] * 2
    )
    assert (workspace / "orders.py").read_text() == FILES["orders.py"]
    with service.worker():
        (workspace / "orders.py").write_text("print(20)\n")
        submitted = machine.submit()
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    session = (machine.home / ".proofstone").glob("*-*")
    diff = reviewer.get(f"/v1/sessions/{next(session).name}/final-diff")
    assert diff["submission"]["baseVerified"] is True
    assert [file["path"] for file in diff["files"]] == ["orders.py"]


@pytest.mark.parametrize("live_database_url", ["sqlite"], indirect=True, scope="session")
def test_twenty_clones_of_a_large_repository_use_little_memory(
    service, url_of, assessment, host_repository, tmp_path
):
    source = random.Random(1)
    files = {f"data/{number}": source.randbytes(LARGE_FILE_BYTES) for number in range(LARGE_FILES)}
    host_repository(assessment, files | {"README.md": "Large"})
    urls = [url_of() for _ in range(20)]
    assert run_git("clone", "-q", "--bare", urls[0], str(tmp_path / "warm")).returncode == 0
    before = service.peak_mib()

    def clone(number: int) -> str:
        return run_git("clone", "-q", "--bare", urls[number], str(tmp_path / f"clone{number}")).stderr

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(clone, range(20))) == [""] * 20
    assert service.peak_mib() < before + 40
