"""How much of an allowance is used up: in a store that all processes share, or in this process alone."""

import logging
import threading
import time
from typing import Any

from limits import RateLimitItem
from limits.storage import storage_from_string

log = logging.getLogger("proofstone.rate_limits")

STORE_SECONDS = 1
# So long a store that did not answer is not asked again; each process counts for itself meanwhile.
AWAY_SECONDS = 5
ALONE = "each process counts for itself."
FEWEST_SWEPT = 1_000


class Allowances:
    """Counts in windows that begin with the first hit; `store_url` is a Redis' or Valkey's, or empty."""

    def __init__(self, store_url: str) -> None:
        patience = {"socket_connect_timeout": STORE_SECONDS, "socket_timeout": STORE_SECONDS}
        self._shared: Any = storage_from_string(store_url, **patience) if store_url else None
        self._own = OwnCounts()
        self._away_until = 0.0

    def hit(self, limit: RateLimitItem, *ids: str) -> tuple[int, float]:
        """Count one more; returns how many there are now, and when the window ends in seconds since 1970."""
        key = _key(limit, ids)
        return self._ask(lambda store: (store.incr(key, limit.get_expiry()), store.get_expiry(key)))

    def used(self, limit: RateLimitItem, *ids: str) -> tuple[int, float]:
        """What `hit` would return if it did not count."""
        key = _key(limit, ids)
        return self._ask(lambda store: (store.get(key), store.get_expiry(key)))

    def _ask(self, question: Any) -> Any:
        if self._shared is None or time.monotonic() < self._away_until:
            return question(self._own)
        try:
            return question(self._shared)
        except Exception as error:
            # The client's library and the network have many names for it, and none may stop a request.
            log.warning("The store of the rate limits is unreachable (%s); %s", type(error).__name__, ALONE)
            self._away_until = time.monotonic() + AWAY_SECONDS
            return question(self._own)


def _key(limit: RateLimitItem, ids: tuple[str, ...]) -> str:
    return limit.key_for("proofstone", *ids)


class OwnCounts:
    """What this process has counted, with the verbs of the library's stores; the clock may be set as it likes.

    The library's own store in memory starts a thread for each hundredth of a second with a request, which walks over
    all there is.
    """

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._swept_at = FEWEST_SWEPT

    def incr(self, key: str, expiry: float) -> int:
        with self._lock:
            count, ends = self._window(key)
            self._windows[key] = count + 1, ends or time.monotonic() + expiry
            if len(self._windows) > self._swept_at:
                self._sweep()
            return count + 1

    def get(self, key: str) -> int:
        return self._window(key)[0]

    def get_expiry(self, key: str) -> float:
        now = time.monotonic()
        return time.time() + max(now, self._window(key)[1]) - now

    def _window(self, key: str) -> tuple[int, float]:
        count, ends = self._windows.get(key, (0, 0.0))
        return (count, ends) if ends > time.monotonic() else (0, 0.0)

    def _sweep(self) -> None:
        now = time.monotonic()
        self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        self._swept_at = max(FEWEST_SWEPT, 2 * len(self._windows))
