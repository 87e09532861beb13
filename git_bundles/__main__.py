"""Write a bundle's final diff as JSON lines.

    python -m git_bundles [BASE] < BUNDLE > FILE

BASE is the base commit's full or abbreviated id, or `empty`. The last line is `{"end": true}`. If the bundle cannot be
read, the only line is `{"problem": "..."}`. Without disk space, the exit status is DISK_FULL.
"""

import errno
import json
import os
import resource
import sys

from git_bundles import DISK_FULL, END, MAX_MEMORY_BYTES, MAX_OUTPUT_BYTES, MAX_SECONDS, Unreadable

MAX_OPEN_FILES = 32


def main(base: str | None) -> None:
    limit_resources()
    try:
        _write_diff(base)
    except Unreadable as problem:
        _write_problem(str(problem))
    except MemoryError:
        _write_problem("Reading the bundle takes more than 512 MiB of memory.")
    except Exception as error:  # such as zlib.error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(DISK_FULL)
        _write_problem("The bundle is damaged.")


def limit_resources() -> None:
    """Limit memory, CPU time, output size and open files. The limits cannot be raised again."""
    limits = {
        resource.RLIMIT_AS: MAX_MEMORY_BYTES,
        resource.RLIMIT_CPU: MAX_SECONDS,
        resource.RLIMIT_FSIZE: MAX_OUTPUT_BYTES,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for name, value in limits.items():
        _, hard = resource.getrlimit(name)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (limit, limit))


def _write_diff(base: str | None) -> None:
    from git_bundles.final_diff import read_diff  # imported under the limits

    try:
        with open(1, "w", encoding="utf-8", closefd=False) as output:
            for line in read_diff(sys.stdin.buffer, base):
                output.write(json.dumps(line) + "\n")
            output.write(END.decode())
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise Unreadable("The final diff is larger than 64 MiB.") from None


def _write_problem(problem: str) -> None:
    os.ftruncate(1, 0)
    os.lseek(1, 0, os.SEEK_SET)
    os.write(1, json.dumps({"problem": problem}).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
