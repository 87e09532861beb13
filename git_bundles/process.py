"""Run `python -m git_bundles` in a separate process, without environment variables or other open files.

Input and output are files with a descriptor, at their start.
"""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from git_bundles import DISK_FULL, MAX_SECONDS, UNREADABLE, Unreadable

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "git_bundles")


class Interrupted(Exception):
    """The process crashed, was killed or timed out."""


def run(arguments: tuple[str, ...], source: IO[bytes], output: IO[bytes]) -> None:
    """Run the process with files as its standard input and output.

    Raises Interrupted or Unreadable, and OSError if the disk is full.
    """
    options: Any = {"cwd": ROOT, "env": {}, "start_new_session": True, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*COMMAND, *arguments], stdin=source, stdout=output, **options) as process:
        try:
            status = process.wait(MAX_SECONDS)
        except subprocess.TimeoutExpired:
            raise Interrupted() from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    if status == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    output.seek(0)
    if status == UNREADABLE:
        raise Unreadable(json.loads(output.readline())["problem"])
    if status != 0:
        raise Interrupted()


def build(archive: IO[bytes], format: str, output: IO[bytes]) -> str:
    """Write a git bundle with the archive's files in one commit without parents. Return the commit's id.

    Of a git bundle, commits the files of HEAD. If all of a zip or tar archive's files are in one folder, as in GitHub's
    downloads, this folder is the root. Equal files result in an equal commit.

    Raises Unreadable, and OSError if the disk is full.

    format -- `git`, `zip` or `tar.gz`
    """
    try:
        run(("build", format), archive, output)
    except Interrupted:
        message = f"Reading the archive was interrupted, or took longer than {MAX_SECONDS} seconds."
        raise Unreadable(message) from None
    output.readline()
    commit = output.readline().split()[0].decode()
    output.seek(0)
    return commit


def export_files(bundle: IO[bytes], output: IO[bytes]) -> None:
    """Write a bundle's files as a tar, without submodules and links that leave the repository. Raises like `run`."""
    run(("export",), bundle, output)
