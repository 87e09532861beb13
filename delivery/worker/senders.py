"""Threads that claim and deliver a queue's messages, fairly across organizations."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from delivery.worker.loop import Loop
from models import db
from models.leases import Leased, RoundRobin

IDLE_SECONDS = 0.5

log = logging.getLogger("proofstone.worker")


class Senders:
    """Delivers a queue's messages, at most `count` at the same time.

    beat -- called before each claim
    """

    def __init__(
        self,
        loop: Loop,
        queue: type[Leased],
        deliver: Callable[[Any], None],
        count: int,
        beat: Callable[[], None],
    ):
        self._loop, self._queue, self._deliver, self._beat = loop, queue, deliver, beat
        self._round_robin = RoundRobin(count)
        self._idle = threading.Lock()
        self._finished = threading.Event()
        self._claimed: list[Any] = []

    def deliver_due(self) -> None:
        """Deliver messages, one at a time, until none is due or the worker stops."""
        while not self._loop.is_stopped and (message := self._claim()):
            self._finish(message)

    def deliver_next(self) -> None:
        """Wait for a message and deliver it. Each sender's thread repeats this."""
        with self._idle:  # only one idle sender polls the queue
            message = self._wait()
        if message:
            self._finish(message)

    def release_claimed(self) -> None:
        """Release the messages that are still in progress when the worker stops."""
        for message in tuple(self._claimed):
            log.warning("Released delivery %s, which was still in progress.", message.id)
            try:
                message.release()
            except Exception as error:
                log.error(
                    "Could not release it (%s). It will be retried when its lease expires.",
                    type(error).__name__,
                )

    def _wait(self) -> Any:
        while not self._loop.is_stopped:
            self._finished.clear()
            if message := self._claim():
                return message
            db.close()
            # A finished message can make its organization's next message eligible.
            self._finished.wait(IDLE_SECONDS)
        return None

    def _claim(self) -> Any:
        self._beat()
        message = self._queue.claim(self._round_robin)
        if message:
            self._round_robin.start(message.lane)
            self._claimed.append(message)
        return message

    def _finish(self, message: Any) -> None:
        try:
            self._deliver(message)
        finally:
            self._claimed.remove(message)
            self._round_robin.finish(message.lane)
            self._finished.set()
