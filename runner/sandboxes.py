"""A sandbox: what runs in it, and its process on this machine.

A sandbox reads its files as a tar from standard input and unpacks them into its own memory. It writes two line breaks
to standard output (it started; the files are unpacked), then what `collect` prints. The output of the task's command
goes to standard error. These streams are all that a sandbox shares with the machine.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from runner import Aborted

# $1 is the task's command, $2 collects the result.
SCRIPT = 'echo; tar -xf - -C / >&2 || exit 97; echo; exec </dev/null; sh -c "$1" >&2; code=$?; eval "$2"; exit $code'
SUBMISSION_USER, TESTS_USER = 64701, 64702
MAX_OUTPUT_MB = 16
TAIL_BYTES = 2000
# Engines get nothing else of the runner's environment, which can contain its token and the service's address.
PASSED = ("PATH", "HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST")
ENGINE_ENVIRONMENT = {name: os.environ[name] for name in PASSED if name in os.environ}
ENGINE_ENVIRONMENT["PODMAN_IGNORE_CGROUPSV1_WARNING"] = "1"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "CI": "true"}


@dataclass(frozen=True)
class Sandbox:
    """A command to run in a sandbox: its user, files and `limits`, as in tests.json."""

    name: str
    command: str
    user: int
    limits: dict[str, Any]
    # Writable folders. `files` is the tar that is unpacked to them, `output` the file for the collected output.
    folders: tuple[str, ...]
    files: Path
    output: Path
    seconds: float
    image: str | None
    collect: str = "true"
    max_collected_mb: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    # Network, for setup commands only, or the loopback network of another sandbox.
    network: bool = False
    joins: "Running | None" = None

    @property
    def disk_bytes(self) -> int:
        return self.limits["diskMb"] << 20

    @property
    def memory_bytes(self) -> int:
        """Files are in memory, so they count in addition."""
        return (self.limits["memoryMb"] << 20) + self.disk_bytes


class Engine(Protocol):
    """Starts sandboxes."""

    name: str

    def check(self, folder: Path) -> None: ...
    def start(self, sandbox: Sandbox) -> "Running": ...
    def image_digest(self, image: str | None) -> str | None: ...
    def clean(self, prefix: str) -> None: ...


class Running:
    """A sandbox's process. `kill` ends all of its processes, and can be called again."""

    def __init__(self, sandbox: Sandbox, command: list[str], pass_fds: tuple[int, ...] = ()):
        self.sandbox = sandbox
        self.progress, self.tail, self.excess = 0, b"", ""
        self.deadline = time.monotonic() + sandbox.seconds
        options: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        options |= {"env": ENGINE_ENVIRONMENT, "pass_fds": pass_fds, "start_new_session": True}
        with sandbox.files.open("rb") as files:
            # podman's conmon writes a file named `oom` to the current folder.
            self.process = subprocess.Popen(command, stdin=files, cwd=sandbox.output.parent, **options)
        self.readers = [threading.Thread(target=read) for read in (self._read_result, self._read_output)]
        for reader in self.readers:
            reader.start()

    def kill(self) -> None:
        raise NotImplementedError

    def _read_result(self) -> None:
        assert self.process.stdout
        with self.process.stdout as stream, self.sandbox.output.open("wb") as output:
            while self.progress < 2 and os.read(stream.fileno(), 1) == b"\n":
                self.progress += 1
            self._copy(stream, output.write, self.sandbox.max_collected_mb, "result")

    def _read_output(self) -> None:
        assert self.process.stderr
        with self.process.stderr as stream:
            self._copy(stream, self._keep, MAX_OUTPUT_MB, "output")

    def _keep(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-TAIL_BYTES:]

    def _copy(self, stream: IO[bytes], write: Callable[[bytes], Any], max_mb: int, what: str) -> None:
        """Read to the end, because engines wait for their reader, but keep only `max_mb`."""
        left = max_mb << 20
        while data := os.read(stream.fileno(), 65536):
            left -= len(data)
            if left >= 0:
                write(data)
            else:
                self.excess = f"The {what} is larger than {max_mb} MiB."

    def wait(self, abort: threading.Event, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait for the end, the deadline, too much output, or `is_over`. Raises Aborted."""
        while self.process.poll() is None and time.monotonic() < self.deadline and not self.excess:
            if is_over():
                return
            if abort.wait(0.02):
                raise Aborted

    def remove(self) -> None:
        """End all processes and remove everything that belongs to the sandbox."""
        self.kill()
        while self.process.poll() is None:
            time.sleep(0.05)
            self.kill()
        for reader in self.readers:
            reader.join()
