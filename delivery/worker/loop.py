"""Run tasks in threads until the worker stops."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

import database_errors
from errors import first_line
from models import db

IDLE_SECONDS = 1.0
ERROR_PAUSE_SECONDS = 2.0
POLL_SECONDS = 0.05
# After `stop`, time to deliver claimed messages before they are released.
STOP_SECONDS = 15

log = logging.getLogger("proofstone.worker")


class Loop:
    """A worker's threads."""

    def __init__(self) -> None:
        # Polled, because a signal handler could deadlock on the lock of a threading.Event.
        self.is_stopped = False
        self._outage_logged_at = float("-inf")

    def stop(self) -> None:
        self.is_stopped = True

    def run(self, tasks: Sequence[Callable[[], None]], ready_fd: int | None) -> None:
        """Close `ready_fd`, and repeat each task in a thread until `stop` is called."""
        log.info("The worker is ready.")
        if ready_fd is not None:
            os.close(ready_fd)
        # Daemon threads, so the process can exit while a peer blocks a thread.
        threads = [threading.Thread(target=self._repeat, args=(task,), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        while not self.is_stopped:
            time.sleep(POLL_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))

    def sleep(self, seconds: float) -> None:
        """Sleep. Return early if the worker stops."""
        end = time.monotonic() + seconds
        while not self.is_stopped and time.monotonic() < end:
            time.sleep(POLL_SECONDS)

    def _repeat(self, task: Callable[[], None]) -> None:
        while not self.is_stopped:
            try:
                task()
            except Exception as error:
                self._log(error)
                self.sleep(ERROR_PAUSE_SECONDS)
            finally:
                db.close()

    def _log(self, error: Exception) -> None:
        if not database_errors.error_for(error):
            # The message's lease prevents an immediate retry.
            log.exception("The worker raised an exception and continues.")
        elif time.monotonic() - self._outage_logged_at >= ERROR_PAUSE_SECONDS:
            # Log a single line for all threads.
            self._outage_logged_at = time.monotonic()
            log.error("The database is unavailable: %s", first_line(error))
