"""Rate limit counters, shared by all processes or local to one."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from math import ceil
from typing import Any, NamedTuple

from limits import RateLimitItem
from limits.storage import storage_from_string

from errors import ApiError, TooManyRequests

log = logging.getLogger("proofstone.rate_limits")

STORE_TIMEOUT_SECONDS = 1
STORE_RETRY_SECONDS = 5
MIN_SWEPT_WINDOWS = 1_000


class Usage(NamedTuple):
    """A rate limit's current usage; `reset_at` is a Unix timestamp."""

    limit: int
    used: int
    reset_at: float

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Reset": str(int(self.reset_at)),
        }

    @property
    def error(self) -> ApiError:
        seconds = max(1, ceil(self.reset_at - time.time()))
        return TooManyRequests(f"Too many requests. Retry after {seconds} seconds.", retry_after=seconds)


class Counters:
    """Fixed-window counters; a window starts at its first hit.

    store_url -- Redis or Valkey; if unset or unreachable, each process counts separately
    """

    def __init__(self, store_url: str | None) -> None:
        timeouts = {"socket_connect_timeout": STORE_TIMEOUT_SECONDS, "socket_timeout": STORE_TIMEOUT_SECONDS}
        self._shared: Any = storage_from_string(store_url, **timeouts) if store_url else None
        self._local = LocalCounters()
        self._down_until = 0.0

    def hit(self, limit: RateLimitItem, *ids: str) -> tuple[int, float]:
        """Increment the counter and return the new count and the window's end as a Unix timestamp."""
        key = limit.key_for("proofstone", *ids)
        return self._call(lambda store: (store.incr(key, limit.get_expiry()), store.get_expiry(key)))

    def get(self, limit: RateLimitItem, *ids: str) -> tuple[int, float]:
        """Return the count and the window's end, like `hit`."""
        key = limit.key_for("proofstone", *ids)
        return self._call(lambda store: (store.get(key), store.get_expiry(key)))

    def _call(self, operation: Callable[[Any], Any]) -> Any:
        if self._shared is None or time.monotonic() < self._down_until:
            return operation(self._local)
        try:
            return operation(self._shared)
        except Exception as error:
            # Client libraries raise many kinds of exceptions for an unreachable store.
            log.warning(
                "The rate limit store is unreachable (%s). Counting per process.", type(error).__name__
            )
            self._down_until = time.monotonic() + STORE_RETRY_SECONDS
            return operation(self._local)


class LocalCounters:
    """In-process counters with the library's store interface.

    The library's in-memory store starts many threads and uses the wall clock.
    """

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._sweep_at = MIN_SWEPT_WINDOWS

    def incr(self, key: str, expiry: float) -> int:
        with self._lock:
            count, end = self._window(key)
            self._windows[key] = count + 1, end or time.monotonic() + expiry
            if len(self._windows) > self._sweep_at:
                self._sweep()
            return count + 1

    def get(self, key: str) -> int:
        return self._window(key)[0]

    def get_expiry(self, key: str) -> float:
        now = time.monotonic()
        return time.time() + max(now, self._window(key)[1]) - now

    def _window(self, key: str) -> tuple[int, float]:
        count, end = self._windows.get(key, (0, 0.0))
        return (count, end) if end > time.monotonic() else (0, 0.0)

    def _sweep(self) -> None:
        now = time.monotonic()
        self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        self._sweep_at = max(MIN_SWEPT_WINDOWS, 2 * len(self._windows))


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
