"""A sandbox: what runs in it, and its process on this machine.

A sandbox gets its files as a tar on standard input and unpacks them into its own memory. Its standard output is two
line breaks (it started; the files are unpacked) and then the collected result; the command's own output goes to
standard error. No file of a sandbox exists on this machine, except these two streams.
"""

import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

# $1 is the task's command, $2 collects the result. `sh` of the command must not inherit the collected output.
SCRIPT = 'echo; tar -xf - -C / >&2 || exit 97; echo; exec </dev/null; sh -c "$1" >&2; code=$?; eval "$2"; exit $code'
MAX_OUTPUT_BYTES = 16 << 20
TAIL_BYTES = 2000
SUBMISSION_USER, TESTS_USER = 64701, 64702
# Nothing of the runner's environment, which can contain its token, the service's address, and proxies.
ENVIRONMENT = {
    name: os.environ[name]
    for name in ("PATH", "HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST")
    if name in os.environ
} | {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
SANDBOX_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "CI": "true",
}


class EngineError(Exception):
    """The sandbox could not be started, with the reason."""


class Aborted(Exception):
    """The job belongs to another claim, or the runner stops."""


@dataclass(frozen=True)
class Limits:
    """Limits of one sandbox. Its files are in memory, so `disk_mb` is memory in addition."""

    memory_mb: int
    disk_mb: int
    processes: int
    cpus: float

    @property
    def memory_bytes(self) -> int:
        return (self.memory_mb + self.disk_mb) << 20

    @property
    def disk_bytes(self) -> int:
        return self.disk_mb << 20


@dataclass(frozen=True)
class Sandbox:
    """One command and its surroundings."""

    name: str
    user: int
    command: str
    limits: Limits
    seconds: float
    files: Path
    folders: tuple[str, ...]
    output: Path
    collect: str = "true"
    max_collected_bytes: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    image: str | None = None
    # Network is only for setup commands. `joins` shares the loopback network of another sandbox.
    network: bool = False
    joins: "Running | None" = None


class Engine(Protocol):
    """Starts sandboxes."""

    name: str

    def check(self, folder: Path) -> None: ...
    def start(self, sandbox: Sandbox) -> "Running": ...
    def image_digest(self, image: str | None) -> str | None: ...
    def clean(self, prefix: str) -> None: ...


class Running:
    """A sandbox's process. Subclasses add what must be removed at the end."""

    def __init__(self, sandbox: Sandbox, command: list[str], pass_fds: tuple[int, ...] = ()):
        self.sandbox = sandbox
        self.excess: str | None = None
        self.started = threading.Event()
        self.tail = b""
        self.deadline = time.monotonic() + sandbox.seconds
        with sandbox.files.open("rb") as files:
            self.process = subprocess.Popen(
                command,
                stdin=files,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        self.readers = [threading.Thread(target=read) for read in (self._collect, self._follow)]
        for reader in self.readers:
            reader.start()

    def _collect(self) -> None:
        assert self.process.stdout
        left = self.sandbox.max_collected_bytes + 2
        with self.sandbox.output.open("wb") as output:
            while data := _read(self.process.stdout):
                output.write(data[:left])
                output.flush()
                self.started.set()
                left -= len(data)
                if left < 0:
                    self._exceeded("The result is too large.")
                    break
        self.process.stdout.close()

    def _follow(self) -> None:
        assert self.process.stderr
        left = MAX_OUTPUT_BYTES
        while data := _read(self.process.stderr):
            self.tail = (self.tail + data)[-TAIL_BYTES:]
            left -= len(data)
            if left < 0:
                self._exceeded(f"The output is larger than {MAX_OUTPUT_BYTES >> 20} MiB.")
                break
        self.process.stderr.close()

    def _exceeded(self, reason: str) -> None:
        self.excess = reason
        self.kill()

    def wait(self, abort: threading.Event) -> bool:
        """Wait for the end. Returns False if the time was over; the sandbox is killed then."""
        while self.process.poll() is None:
            if abort.wait(0.02):
                raise Aborted
            if time.monotonic() > self.deadline:
                self.kill()
                return False
        for reader in self.readers:
            reader.join(10)
        return True

    def wait_until_started(self, abort: threading.Event) -> None:
        while (
            not self.started.wait(0.02) and self.process.poll() is None and time.monotonic() < self.deadline
        ):
            if abort.is_set():
                raise Aborted

    def progress(self) -> int:
        """Return 0 if the sandbox did not start, 1 if its files were not unpacked, else 2."""
        return 2 if self.output(0, 2) == b"\n\n" else len(self.output(0, 1))

    def output(self, start: int, size: int) -> bytes:
        with self.sandbox.output.open("rb") as output:
            output.seek(start)
            return output.read(size)

    def last_output(self) -> str:
        return self.tail.decode("utf-8", "replace").strip()

    def kill(self) -> None:
        """End all processes. Can be called again, and from any thread."""
        raise NotImplementedError

    def remove(self) -> None:
        """End all processes and remove everything that belongs to the sandbox."""
        self.kill()
        while self.process.poll() is None:
            time.sleep(0.05)
            self.kill()
        for reader in self.readers:
            reader.join(10)


def _read(stream: IO[Any]) -> bytes:
    try:
        return os.read(stream.fileno(), 65536)
    except OSError:
        return b""
