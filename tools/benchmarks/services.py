"""Start the measured services, each with two processes and the default settings."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tools.benchmarks.load import HOST
from tools.scripts.service import APPLICATION, Service

PROCESSES = 2
LIMIT = "tools.benchmarks.limit.app:application"
# Requests are counted but never limited: a few credentials send the load of hundreds of candidates.
UNLIMITED = "1000000000 per minute"
SETTINGS = {
    "WEB_CONCURRENCY": str(PROCESSES),
    "RATELIMIT_DEFAULT": UNLIMITED,
    "RATELIMIT_INGEST": UNLIMITED,
    # Ignore these settings of the environment.
    "GUNICORN_CMD_ARGS": "",
    "LOG_LEVEL": "",
    "RATELIMIT_ENABLED": "",
    "RATELIMIT_STORAGE_URL": "",
}


@contextmanager
def running(url: str, application: str = APPLICATION) -> Iterator[Service]:
    """A started service without the worker, whose background work would distort the measurement."""
    with prepared(url, application) as service:
        service.start()
        yield service


@contextmanager
def prepared(url: str, application: str = APPLICATION, has_worker: bool = False) -> Iterator[Service]:
    """A service ready to start on a free port. Its log goes to a file; its end is printed after an error."""
    settings = os.environ | SETTINGS | {"DATABASE_URL": url}
    with tempfile.TemporaryFile("w+", prefix="proofstone-log-") as log:
        service = Service(HOST, free_port(), settings, application, has_worker, log)
        try:
            yield service
        except BaseException:
            log.seek(0)
            print(log.read()[-5_000:])
            raise
        finally:
            service.stop()


def pids(service: Service) -> list[int]:
    """The ids of the service's child processes."""
    return [child.pid for child in service.children.values()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
