"""Run `python -m git_bundles` in a separate process, without environment variables or other open files."""

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
