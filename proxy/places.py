"""The calls that one process forwards at the same time, shared between candidate keys."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from functools import partial


class Places:
    """`total` places, of which each key can take `per_key`, and more only of what others do not need."""

    def __init__(self, total: int, per_key: int):
        self.total = total
        self._per_key = per_key
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> Callable[[], None] | None:
        """Take a place; returns the function that releases it, or None if there is none for this key."""
        with self._lock:
            if not self._has_place(key):
                return None
            self._taken[key] += 1
        return partial(self._release, key)

    def _has_place(self, key: Hashable) -> bool:
        free = self.total - self._taken.total()
        if self._taken[key] < self._per_key:
            return free > 0
        # The rest is divided between the keys with calls and one that is still to come, which finds its places free.
        share = self.total // (len(self._taken) + 1)
        return free > self._per_key and self._taken[key] < share

    def _release(self, key: Hashable) -> None:
        with self._lock:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
