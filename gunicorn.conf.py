"""Settings of the web process; gunicorn reads PORT and WEB_CONCURRENCY by itself."""

import gc
import os
import shutil
import tempfile
from typing import Any

from config import load_or_exit

# A wrong setting ends the master here, once, rather than every worker that it would start again. The master needs no
# more of the application than this, and is half as large without it.
settings = load_or_exit()
threads = settings.web_threads
worker_class = "web.gunicorn_worker.WebWorker"
logger_class = "web.gunicorn_worker.Log"

# After SIGTERM requests in flight have this long to finish; web/gunicorn_worker.py cuts what is left shortly before.
# Platforms kill after 30 seconds at the earliest, and `docker stop` after 10 if it is not told otherwise (`-t 20`).
graceful_timeout = 15
# Longer than the idle time-out of the usual proxy, so that the proxy never writes into a closed connection.
keepalive = 65

# An access log is off unless asked for (`--access-logfile -`); it never holds a query, which may carry a key.
access_log_format = '%(h)s %(t)s "%(m)s %(U)s" %(s)s %(B)s %(L)s'

# The heartbeat file lies in memory where it can: on a busy disk a healthy worker would be taken for dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# The folder in which all web processes count together, where somebody may read their metrics.
METRICS = "PROMETHEUS_MULTIPROC_DIR"


def on_starting(server: Any) -> None:
    """In the master, before there is any web process."""
    if settings.metrics_token:
        os.environ[METRICS] = tempfile.mkdtemp(prefix="proofstone-metrics-", dir=worker_tmp_dir)


def post_worker_init(worker: Any) -> None:
    """What the application is made of stays, and is not looked through for garbage again: with it in the way that took
    a tenth of what issuing 50 keys takes."""
    gc.collect()
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:
    """What a process counted stays; what it had in use, it has no more."""
    if settings.metrics_token:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    if settings.metrics_token:
        shutil.rmtree(os.environ[METRICS], ignore_errors=True)


# Nobody steers gunicorn over a socket; what is not opened cannot be misused.
control_socket_disable = True
