"""The web process and the worker as child processes, which end with this process."""

import http.client
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import IO

from tools.scripts.run_with_parent import with_parent

APPLICATION = "app:create_app()"
START_SECONDS = 60
STOP_SECONDS = 18  # longer than gunicorn's graceful_timeout and the worker's STOP_SECONDS
POLL_SECONDS = 0.05


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal."""


def handle_stop_signals() -> None:
    """Raise Stopped on these signals."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


class Service:
    """Child processes to prepare, start, watch and stop; a failure ends this process with a message.

    log -- where the children write their log instead of stderr
    """

    def __init__(
        self,
        host: str,
        port: int,
        environment: Mapping[str, str],
        application: str = APPLICATION,
        has_worker: bool = True,
        log: IO | None = None,
    ):
        self.host, self.port, self.application, self.has_worker = host, port, application, has_worker
        self.log = log
        arguments = f"--bind {host}:{port} {environment.get('GUNICORN_CMD_ARGS', '')}"
        self.environment = {**environment, "GUNICORN_CMD_ARGS": arguments}
        self.children: dict[str, subprocess.Popen] = {}

    def prepare(self, stdout: int | None = None) -> str | None:
        """Upgrade the database; returns the output if `stdout` is subprocess.PIPE."""
        preparation = self._popen(["-m", "tools.scripts.prepare"], stdout)
        output, _ = preparation.communicate()
        if preparation.returncode != 0:
            sys.exit(1)
        return output

    def start(self) -> None:
        """Start the children; returns when they are ready."""
        ready, worker_end = os.pipe()
        self.children["web process"] = self._popen(["-m", "gunicorn", self.application])
        if self.has_worker:
            command = ["-m", "flask", "worker", "--ready-fd", str(worker_end)]
            self.children["worker"] = self._popen(command, pass_fds=[worker_end])
        # Only the worker has this end of the pipe now, and closes it when it is ready.
        os.close(worker_end)
        self._wait_until(lambda: bool(select.select([ready], [], [], 0)[0]), "worker")
        self._wait_until(self._is_healthy, "web process")
        os.close(ready)

    def watch(self) -> None:
        """Wait until a child ends."""
        while True:
            self._exit_if_child_ended()
            time.sleep(10 * POLL_SECONDS)

    def stop(self) -> None:
        """Stop the children gracefully; after STOP_SECONDS or a second Ctrl-C, kill them."""
        deadline = time.monotonic() + STOP_SECONDS
        try:
            for child in self.children.values():
                child.terminate()
            for child in self.children.values():
                child.wait(max(0, deadline - time.monotonic()))
        except (Stopped, subprocess.TimeoutExpired):
            for child in self.children.values():
                child.kill()

    def _wait_until(self, is_ready: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if time.monotonic() > deadline:
                sys.exit(f"The {name} is not ready after {START_SECONDS} seconds. See its log above.")
            time.sleep(POLL_SECONDS)
            self._exit_if_child_ended()

    def _popen(
        self, command: list[str], stdout: int | None = None, pass_fds: Sequence[int] = ()
    ) -> subprocess.Popen:
        # A separate process group does not receive Ctrl-C, so children can finish their work.
        return subprocess.Popen(
            with_parent([sys.executable, *command], "SIGTERM"),
            env=self.environment,
            process_group=0,
            pass_fds=pass_fds,
            stdout=stdout or self.log,
            stderr=self.log,
            text=True,
        )

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=5)
        try:
            connection.request("GET", "/v1/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _exit_if_child_ended(self) -> None:
        for name, child in self.children.items():
            if child.poll() is not None:
                sys.exit(f"The {name} exited with status {child.returncode}. Stopping Proofstone.")
