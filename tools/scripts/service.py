"""The web process and the worker as children of this process, which neither of them outlives."""

import http.client
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

TETHER = Path(__file__).with_name("tether.py")
PREPARATION = ["-m", "tools.scripts.prepare"]
APPLICATION = "app:create_app()"
START_SECONDS = 60
STOP_SECONDS = 18  # a little more than gunicorn's graceful_timeout and the worker's STOP_SECONDS
GLANCE_SECONDS = 0.05


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal."""


def listen_for_stop() -> None:
    """From now on these raise Stopped."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


class Service:
    """Prepare, start, watch, stop. What cannot be gone on with ends this process with a sentence."""

    def __init__(
        self,
        host: str,
        port: int,
        environment: Mapping[str, str],
        application: str = APPLICATION,
        has_worker: bool = True,
        log: IO | None = None,
    ):
        """log: where the children write what they log, instead of here."""
        self.log = log
        self.host, self.port, self.application, self.has_worker = host, port, application, has_worker
        bound = f"--bind {host}:{port} {environment.get('GUNICORN_CMD_ARGS', '')}"
        self.environment = {**environment, "GUNICORN_CMD_ARGS": bound}
        self.children: dict[str, subprocess.Popen] = {}

    def prepare(self, stdout: int | None = None) -> str | None:
        """Bring the database up to date; returns what was printed if `stdout` is subprocess.PIPE."""
        preparation = self._popen(PREPARATION, stdout)
        printed, _ = preparation.communicate()
        if preparation.returncode != 0:
            sys.exit(1)
        return printed

    def start(self) -> None:
        """Start the children; returns when the service answers and the worker is at work."""
        ready, says_ready = os.pipe()
        self.children["web process"] = self._popen(["-m", "gunicorn", self.application])
        if self.has_worker:
            command = ["-m", "flask", "worker", "--ready-fd", str(says_ready)]
            self.children["worker"] = self._popen(command, pass_fds=[says_ready])
        # Now the worker alone holds this end of the pipe, and closes it when it is ready.
        os.close(says_ready)
        self._wait_until(lambda: _has_ended(ready), "worker")
        self._wait_until(self._is_healthy, "web process")
        os.close(ready)

    def watch(self) -> None:
        """Wait for ever, or until a child ends."""
        while True:
            self._exit_if_any_ended()
            time.sleep(10 * GLANCE_SECONDS)

    def stop(self) -> None:
        """Let the children finish what they do; a second Ctrl-C does not wait."""
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
                sys.exit(f"The {name} is not ready after {START_SECONDS} seconds; its log is above.")
            time.sleep(GLANCE_SECONDS)
            self._exit_if_any_ended()

    def _popen(
        self, command: list[str], stdout: int | None = None, pass_fds: Sequence[int] = ()
    ) -> subprocess.Popen:
        tether = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), "SIGTERM", "-"]
        # In a process group of its own a child does not see Ctrl-C, and can finish its work when told to stop.
        return subprocess.Popen(
            [*tether, sys.executable, *command],
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

    def _exit_if_any_ended(self) -> None:
        for name, child in self.children.items():
            if child.poll() is not None:
                sys.exit(f"The {name} ended by itself (status {child.returncode}), so Proofstone stops.")


def _has_ended(pipe: int) -> bool:
    """Whether nobody holds the writing end of a pipe, into which nothing is written, any more."""
    return bool(select.select([pipe], [], [], 0)[0])
