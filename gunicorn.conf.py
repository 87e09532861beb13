"""gunicorn's settings for the web process. gunicorn reads WEB_CONCURRENCY itself."""

import contextlib
import ctypes
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

# `kill -HUP` reads this file again. Import the project's modules again, too: otherwise the new processes would mix two
# releases.
NAMES = {path.stem for path in Path(__file__).parent.iterdir()}
for module in [name for name in sys.modules if name.partition(".")[0] in NAMES]:
    del sys.modules[module]

from config import load_or_exit, warnings  # noqa: E402

# Only local: other machines connect through a TLS proxy. `--bind` overrides it, as in Procfile and Dockerfile.
bind = f"127.0.0.1:{os.environ.get('PORT') or 8000}"

# Exit here on an invalid setting. Otherwise gunicorn would keep restarting failing workers.
settings = load_or_exit()
threads = settings.web_threads
worker_class = "web.gunicorn_worker.WebWorker"
logger_class = "web.gunicorn_worker.Log"

# Seconds for requests to finish after SIGTERM. web/gunicorn_worker.py disconnects the remaining ones shortly before the
# end. Platforms kill a process after 30 seconds or more, `docker stop` after 10 by default (use `-t 20`).
graceful_timeout = 15
# Must exceed the proxy's idle timeout, usually 60 seconds, so the proxy never writes to a closed connection.
keepalive = 65

# For `--access-logfile -`; the log is off by default. It omits the query, which can contain a key.
access_log_format = '%(h)s %(t)s "%(m)s %(U)s" %(s)s %(B)s %(L)s'

# Keep the heartbeat file in memory: on a busy disk, gunicorn would kill healthy workers.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
control_socket_disable = True

# glibc returns freed blocks of at least this size to the system immediately. By default the threshold grows with the
# largest freed block, and each thread could keep tens of megabytes (tests/live/test_memory.py).
M_MMAP_THRESHOLD = -3
MMAP_THRESHOLD_BYTES = 1024 * 1024
# By default, glibc's threads allocate from up to 8 arenas per core of the machine, each with its own free memory.
M_ARENA_MAX = -8
MAX_ARENAS = 2

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def when_ready(server: Any) -> None:
    """Create the folder for the web processes' metrics."""
    if settings.metrics_token:
        os.environ[METRICS_FOLDER] = tempfile.mkdtemp(prefix="proofstone-metrics-", dir=worker_tmp_dir)


def post_fork(server: Any, worker: Any) -> None:
    """Limit the memory that threads keep after large requests. Only glibc supports these options."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        libc.mallopt(M_ARENA_MAX, MAX_ARENAS)


def serves_proofstone(worker: Any) -> bool:
    """Return False for the benchmarks' bare application, which uses this configuration without Flask."""
    return getattr(worker.wsgi, "import_name", "") == "proofstone"


def post_worker_init(worker: Any) -> None:
    """Start the background threads. Warn once about settings, missing ledger keys, and an unknown proxy."""
    if not serves_proofstone(worker):
        return
    from access import addresses
    from models.database import close_idle_connections
    from models.heartbeats import record_web_process
    from models.ledger import numbering

    close_idle_connections()
    record_web_process()
    if worker.age == 1:
        for message in warnings(worker.wsgi.config):
            logging.getLogger("proofstone").warning(message)
        addresses.warn_at_start()
        numbering.warn_at_start()


def worker_exit(server: Any, worker: Any) -> None:
    """Do not count a stopped process as running."""
    if serves_proofstone(worker):
        from models.heartbeats import delete_web_process

        delete_web_process()


def child_exit(server: Any, worker: Any) -> None:
    """Keep the counters of a process that exited, and delete its gauges."""
    if settings.metrics_token:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    if settings.metrics_token:
        shutil.rmtree(os.environ[METRICS_FOLDER], ignore_errors=True)
