"""The services that are measured, each with two processes and with everything on that is on by default."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tools.benchmarks.load import HOST
from tools.scripts.service import APPLICATION, Service

PROCESSES = 2
LIMIT = "tools.benchmarks.limit.app:application"
# Requests are counted as always, but as many are allowed as the machine answers: here a few credentials send what
# hundreds of candidates do.
ALLOWED = "1000000000 per minute"
SETTINGS = {
    "WEB_CONCURRENCY": str(PROCESSES),
    "RATELIMIT_DEFAULT": ALLOWED,
    "RATELIMIT_INGEST": ALLOWED,
    # What one sets for oneself does not count here.
    "GUNICORN_CMD_ARGS": "",
    "LOG_LEVEL": "",
    "RATELIMIT_ENABLED": "",
    "RATELIMIT_STORAGE_URL": "",
}


@contextmanager
def running(url: str, application: str = APPLICATION) -> Iterator[Service]:
    """A service on the database behind `url`, without the worker, whose work after the answer would fall into the turns
    of both."""
    with prepared(url, application) as service:
        service.start()
        yield service


@contextmanager
def prepared(url: str, application: str = APPLICATION, has_worker: bool = False) -> Iterator[Service]:
    """A service that can be started on a free port; what it logs goes to a file, as in earnest, and is shown where
    the service ends by itself."""
    settings = os.environ | SETTINGS | {"DATABASE_URL": url}
    with tempfile.TemporaryFile("w+", prefix="proofstone-log-") as log:
        service = Service(HOST, free_port(), settings, application, has_worker, log)
        try:
            yield service
        finally:
            if any(child.poll() is not None for child in service.children.values()):
                log.seek(0)
                print(log.read()[-5_000:])
            service.stop()


def pids(service: Service) -> list[int]:
    """Its children's, each of them the first of a family."""
    return [child.pid for child in service.children.values()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
