"""Run tasks in threads until the worker stops, and release messages that are still claimed then."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import errors
from models import db
from models.leases import Leased

IDLE_SECONDS = 1.0
ERROR_PAUSE_SECONDS = 2.0
POLL_SECONDS = 0.05
# Time for a claimed message to finish after `stop`; then it is released.
STOP_SECONDS = 15

log = logging.getLogger("proofstone.worker")


class Loop:
    """The threads of a worker and the messages that they have claimed."""

    def __init__(self) -> None:
        # Polled, not a threading.Event: a signal handler could deadlock on the lock of an event.
        self._stopped = False
        self._claimed: list[Any] = []

    def stop(self) -> None:
        self._stopped = True

    def run(self, tasks: Iterable[Callable[[], None]], ready_fd: int | None) -> None:
        """Repeat each task in a thread until `stop` is called; close `ready_fd` first."""
        log.info("The worker is ready.")
        if ready_fd is not None:
            os.close(ready_fd)
        # Daemons, so that the process can end while a peer blocks a thread.
        threads = [threading.Thread(target=self._repeat, args=(task,), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        while not self._stopped:
            time.sleep(POLL_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        self._release_claimed()
        log.info("The worker has stopped.")

    def process(self, queue: type[Leased], deliver: Callable[[Any], None]) -> None:
        """Claim and deliver due messages, one at a time, until none is due or the worker stops."""
        while not self._stopped and (message := queue.claim()):
            self._claimed.append(message)
            try:
                deliver(message)
            finally:
                self._claimed.remove(message)

    def _release_claimed(self) -> None:
        for message in tuple(self._claimed):
            log.warning("Released delivery %s, which was still in progress.", message.id)
            try:
                message.release()
            except Exception as error:
                log.error(
                    "Could not release it (%s). It is retried when its lease expires.", type(error).__name__
                )
        db.close()

    def _repeat(self, task: Callable[[], None]) -> None:
        while not self._stopped:
            pause = IDLE_SECONDS
            try:
                task()
            except Exception as error:
                pause = ERROR_PAUSE_SECONDS
                if errors.refusal_for(error):
                    log.error("The database is unavailable: %s", type(error).__name__)
                else:
                    # The lease prevents a message that raised this from being claimed again immediately.
                    log.exception("The worker raised an exception and continues.")
            db.close()
            self._sleep(pause)

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopped and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
