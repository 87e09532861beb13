"""Renew the budget reservations of this process's running calls (R42)."""

import logging
import threading
import time

from models import ModelReservation
from models.database import connection
from ops import DATABASE_ERRORS

RENEWAL_SECONDS = 20

log = logging.getLogger("proofstone.proxy")


class Renewals:
    """Renews the reservations of running calls every RENEWAL_SECONDS, in a thread started by the first call."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, reservation: ModelReservation) -> None:
        with self._lock:
            self._running.add(reservation.id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="renewals", daemon=True)
                self._thread.start()

    def discard(self, reservation: ModelReservation) -> None:
        with self._lock:
            self._running.discard(reservation.id)

    def renew(self) -> None:
        with self._lock:
            running = list(self._running)
        if not running:
            return
        try:
            with connection():
                ModelReservation.renew(running)
        except DATABASE_ERRORS:
            log.exception("Could not renew the reservations of running calls.")

    def _run(self) -> None:
        while True:
            time.sleep(RENEWAL_SECONDS)
            self.renew()


renewals = Renewals()
