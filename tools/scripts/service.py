"""Runs the web process and the worker as child processes that exit with this process."""

import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from tools.scripts.run_with_parent import with_parent

# Only local: other machines connect through a TLS proxy.
HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 18  # longer than gunicorn's graceful_timeout and the worker's STOP_SECONDS
POLL_SECONDS = 0.05


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal."""


def handle_stop_signals() -> None:
    """Raise Stopped on SIGINT, SIGTERM and SIGHUP."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def require_free_port(port: int, command: str) -> None:
    """Exit with a message if the port is in use."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.exit(f"Cannot use port {port} ({reason}). Choose another one: {command} PORT={port + 1}")


class Service:
    """Prepares, starts, watches and stops child processes. On failure, exits this process with a message."""

    def __init__(self, port: int, environment: Mapping[str, str]):
        self.port = port
        arguments = f"--bind {HOST}:{port} {environment.get('GUNICORN_CMD_ARGS', '')}"
        self.environment = {**environment, "GUNICORN_CMD_ARGS": arguments}
        self.children: dict[str, subprocess.Popen] = {}

    def prepare(self) -> None:
        if self._popen(["-m", "tools.scripts.prepare"]).wait() != 0:
            sys.exit(1)

    def start(self) -> None:
        """Start the children and wait until they are ready."""
        ready, worker_end = os.pipe()
        self.children["web process"] = self._popen(["-m", "gunicorn", "app:create_app()"])
        command = ["-m", "flask", "worker", "--ready-fd", str(worker_end)]
        self.children["worker"] = self._popen(command, pass_fds=[worker_end])
        # The worker closes its copy of this end when it is ready.
        os.close(worker_end)
        self._wait_until(lambda: bool(select.select([ready], [], [], 0)[0]), "worker")
        self._wait_until(self._is_healthy, "web process")
        os.close(ready)

    def watch(self) -> None:
        """Wait until a child exits."""
        while True:
            self._exit_if_child_exited()
            time.sleep(10 * POLL_SECONDS)

    def stop(self) -> None:
        """Stop the children gracefully. Kill them after STOP_SECONDS or a second Ctrl-C."""
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
                sys.exit(f"The {name} was not ready within {START_SECONDS} seconds. See its log above.")
            time.sleep(POLL_SECONDS)
            self._exit_if_child_exited()

    def _popen(self, command: list[str], pass_fds: Sequence[int] = ()) -> subprocess.Popen:
        # A separate process group does not receive Ctrl-C, so children can finish their work.
        return subprocess.Popen(
            with_parent([sys.executable, *command], "SIGTERM"),
            env=self.environment, process_group=0, pass_fds=pass_fds,
        )  # fmt: skip

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/v1/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _exit_if_child_exited(self) -> None:
        for name, child in self.children.items():
            if child.poll() is not None:
                sys.exit(f"The {name} exited with status {child.returncode}. Stopping Proofstone.")
