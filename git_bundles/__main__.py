"""Read a bundle or an archive from standard input, and write a file to standard output.

    python -m git_bundles diff [BASE]       the final diff of a bundle, as JSON lines
    python -m git_bundles build FORMAT      a bundle with one commit of the files of a `git`, `zip` or `tar.gz` archive
    python -m git_bundles export            a tar of a bundle's files
    python -m git_bundles check             nothing; fails unless all files of a zip archive can be read

BASE is the base commit's full or abbreviated id, or `empty`. The diff's last line is `{"end": true}`. If the input
cannot be read, the exit status is UNREADABLE, and the output `{"problem": "..."}`. Without disk space, the status is
DISK_FULL.
"""

import errno
import json
import os
import resource
import sys
from collections.abc import Callable

from git_bundles import (
    DISK_FULL,
    END,
    MAX_EXPORT_BYTES,
    MAX_MEMORY_BYTES,
    MAX_OUTPUT_BYTES,
    MAX_SECONDS,
    UNREADABLE,
    Unreadable,
)

MAX_OPEN_FILES = 32


def main(action: str, *arguments: str) -> None:
    limit_resources(MAX_OUTPUT_BYTES if action == "diff" else MAX_EXPORT_BYTES)
    noun = "archive" if action in ("build", "check") else "bundle"
    actions: dict[str, Callable[..., None]] = {
        "diff": _write_diff,
        "build": _build,
        "export": _export,
        "check": _check,
    }
    try:
        actions[action](*arguments)
    except Unreadable as problem:
        _exit_with_problem(str(problem))
    except MemoryError:
        _exit_with_problem(f"Reading the {noun} takes more than 512 MiB of memory.")
    except Exception as error:  # such as zlib.error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(DISK_FULL)
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            _exit_with_problem("The result is too large.")
        _exit_with_problem(f"The {noun} is damaged.")


def limit_resources(max_output_bytes: int = MAX_OUTPUT_BYTES) -> None:
    """Limit memory, CPU time, output size and open files. The limits cannot be raised again."""
    limits = {
        resource.RLIMIT_AS: MAX_MEMORY_BYTES,
        resource.RLIMIT_CPU: MAX_SECONDS,
        resource.RLIMIT_FSIZE: max_output_bytes,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for name, value in limits.items():
        _, hard = resource.getrlimit(name)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (limit, limit))


# Imports are under the limits.


def _write_diff(base: str | None = None) -> None:
    from git_bundles.final_diff import read_diff

    try:
        with open(1, "w", encoding="utf-8", closefd=False) as output:
            for line in read_diff(sys.stdin.buffer, base):
                output.write(json.dumps(line) + "\n")
            output.write(END.decode())
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise Unreadable("The final diff is larger than 64 MiB.") from None


def _build(format: str) -> None:
    from git_bundles.files import build

    with open(1, "wb", closefd=False) as output:
        build(sys.stdin.buffer, format, output)


def _export() -> None:
    from git_bundles.files import export

    with open(1, "wb", closefd=False) as output:
        export(sys.stdin.buffer, output)


def _check() -> None:
    from git_bundles.files import check_zip

    check_zip(sys.stdin.buffer)


def _exit_with_problem(problem: str) -> None:
    os.ftruncate(1, 0)
    os.lseek(1, 0, os.SEEK_SET)
    os.write(1, json.dumps({"problem": problem}).encode() + b"\n")
    sys.exit(UNREADABLE)


if __name__ == "__main__":
    main(*sys.argv[1:])
