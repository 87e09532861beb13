"""An S3-compatible store: moto's server, in a separate process."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.delivery.mail_server import HOST, free_port
from tools.scripts.run_with_parent import with_parent

START_TIMEOUT_SECONDS = 30


@contextmanager
def s3_server() -> Iterator[str]:
    """Yield the URL of an empty store without buckets."""
    port = free_port()
    command = with_parent([sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)])
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(process, port)
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()


def _wait_for(process: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("moto's server did not start.")
