"""Servers in separate processes: an S3-compatible store and an OpenID provider."""

import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.live.service import HOST, wait_until
from tools.scripts.run_with_parent import with_parent

# The kernel assigns higher ports to connections and to other servers. Each test process has a range of its own.
_SIZE = 12_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_RANGE = 20_000 + _SIZE * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.cycle(range(_RANGE, _RANGE + _SIZE))


def free_port() -> int:
    return next(filter(_is_free, _ports))


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


@contextmanager
def serve(port: int, *command: str) -> Iterator[subprocess.Popen]:
    """Run a server; yield its process once it listens on the port."""
    with subprocess.Popen(
        with_parent([*command]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: _is_open(port) or process.poll() is not None, f"{command} did not start.")
            assert process.poll() is None, f"{command} exited."
            yield process
        finally:
            process.kill()


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto; yield the URL of an empty store without buckets."""
    port = free_port()
    with serve(port, sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)):
        yield f"http://{HOST}:{port}"


@contextmanager
def oidc_provider(*users: dict[str, Any]) -> Iterator[str]:
    """Run oidc-provider-mock with these users' claims; yield its issuer."""
    port = free_port()
    claims = [argument for user in users for argument in ("--user-claims", json.dumps(user))]
    with serve(port, sys.executable, "-m", "oidc_provider_mock", "-p", str(port), *claims):
        yield f"http://{HOST}:{port}"
