"""gunicorn's settings for the web process. gunicorn reads PORT and WEB_CONCURRENCY itself."""

import contextlib
import ctypes
import os
import shutil
import tempfile
from typing import Any

from config import load_or_exit
from rules.integrity.seal_keys import NO_SEAL_KEYS

# An invalid setting stops the master once; otherwise it would restart failing workers forever.
settings = load_or_exit()
threads = settings.web_threads
worker_class = "web.gunicorn_worker.WebWorker"
logger_class = "web.gunicorn_worker.Log"

# Time for requests in flight to finish after SIGTERM; web/gunicorn_worker.py cuts the rest shortly before. Platforms
# kill after 30 seconds or more, `docker stop` after 10 by default (use `-t 20`).
graceful_timeout = 15
# Longer than the usual proxy's idle timeout, so that the proxy never writes to a closed connection.
keepalive = 65

# The access log is off unless enabled (`--access-logfile -`). It never contains a query, which may carry a key.
access_log_format = '%(h)s %(t)s "%(m)s %(U)s" %(s)s %(B)s %(L)s'

# Keep the heartbeat file in memory: on a busy disk, gunicorn would kill healthy workers.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# The control socket is not used.
control_socket_disable = True

# glibc's option, and the size from which a freed block returns to the system immediately. By default this size grows
# with the largest freed block, and each thread could keep tens of megabytes (tests/live/test_memory.py).
M_MMAP_THRESHOLD = -3
MMAP_THRESHOLD_BYTES = 1024 * 1024

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def on_starting(server: Any) -> None:
    """Create the folder for the metrics of all web processes."""
    if settings.metrics_token:
        os.environ[METRICS_FOLDER] = tempfile.mkdtemp(prefix="proofstone-metrics-", dir=worker_tmp_dir)


def when_ready(server: Any) -> None:
    if not settings.seal_keys:
        server.log.warning(NO_SEAL_KEYS)


def post_fork(server: Any, worker: Any) -> None:
    """Limit the memory that threads keep after large requests; other C libraries have no such option."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


def post_worker_init(worker: Any) -> None:
    """Warn once if all requests seem to come from a proxy that TRUSTED_PROXIES does not count."""
    # The benchmarks also start a bare application with this configuration; it imports none of Flask.
    if worker.age == 1 and getattr(worker.wsgi, "import_name", "") == "proofstone":
        from access.addresses import warn_at_start

        warn_at_start()


def child_exit(server: Any, worker: Any) -> None:
    """Keep the counters of a process that ended, and drop its gauges."""
    if settings.metrics_token:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    if settings.metrics_token:
        shutil.rmtree(os.environ[METRICS_FOLDER], ignore_errors=True)
