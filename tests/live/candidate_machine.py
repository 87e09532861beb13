"""A candidate's machine, on which the workspace script and its `submit` run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "pages" / "workspace.sh"
PROGRAMS = ("sh", "git", "curl", "tar")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
REPOSITORY = "https://git.example.com/orders.git"
needs_programs = pytest.mark.skipif(bool(MISSING), reason=f"Not installed: {', '.join(MISSING)}.")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Alice", "-c", "user.email=alice@example.com"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Machine:
    """A candidate's machine with a home and a working folder. REPOSITORY is cloned from the folder `origin`."""

    def __init__(self, folder: Path, service_url: str):
        self.home, self.folder, self.origin = folder / "home", folder / "work", folder / "origin"
        for path in (self.home, self.folder, self.origin):
            path.mkdir()
        self.script = folder / "workspace.sh"
        self.script.write_text(SCRIPT.read_text().replace("@SERVICE@", service_url))
        (self.home / ".gitconfig").write_text(f'[url "file://{self.origin}"]\n\tinsteadOf = {REPOSITORY}\n')
        git(self.origin, "init", "-q", "-b", "main")
        git(self.origin, "config", "uploadpack.allowAnySHA1InWant", "true")

    def commit(self, **files: str) -> str:
        """Commit files to the repository, with `_` for `.` in names, and return the commit."""
        for name, text in files.items():
            (self.origin / name.replace("_", ".")).write_text(text)
        git(self.origin, "add", "--all")
        git(self.origin, "commit", "-q", "--allow-empty", "-m", "Change")
        return git(self.origin, "rev-parse", "HEAD")

    @property
    def workspace(self) -> Path:
        return self.folder / "assessment"

    def environment(self, **variables: str) -> dict[str, str]:
        inherited = {"PATH": os.environ["PATH"], "HOME": str(self.home), "GIT_ALLOW_PROTOCOL": "file"}
        return inherited | variables

    def run(self, *command: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            command, cwd=cwd or self.folder, env=self.environment(**variables), text=True,
            capture_output=True, stdin=subprocess.DEVNULL, timeout=60, start_new_session=True,
        )  # fmt: skip

    def prepare(self, text: str = "", /, *, cwd: Path | None = None, **variables: str):
        """Run the script from standard input, as the page says, with a key."""
        piped = f"sh <{self.script}"
        return self.run("sh", "-c", piped, cwd=cwd, **({"PROOFSTONE_KEY": text} if text else {}), **variables)

    def submit(self, **variables: str) -> subprocess.CompletedProcess:
        return self.run("./submit", cwd=self.workspace, **variables)


def set_commit(service, key: str, sha: str | None) -> None:
    """Let the key's assessment start from another commit."""
    condition = "id IN (SELECT assessment_id FROM candidate_keys WHERE key = %s)"
    service.execute(f"UPDATE assessments SET repo_commit = %s WHERE {condition}", sha, key)
