"""Stream slots: the calls that one process forwards at the same time, shared between candidate keys."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from functools import partial


class StreamSlots:
    """`total` slots. Each key can have `per_key`, and more only while enough others are free."""

    def __init__(self, total: int, per_key: int):
        self.total = total
        self._per_key = per_key
        self._used: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def acquire(self, key: Hashable) -> Callable[[], None] | None:
        """Acquire a slot; returns the function that releases it, or None if no slot is free for this key."""
        with self._lock:
            if not self._has_slot(key):
                return None
            self._used[key] += 1
        return partial(self._release, key)

    def _has_slot(self, key: Hashable) -> bool:
        free = self.total - self._used.total()
        if self._used[key] < self._per_key:
            return free > 0
        # The keys with calls share the other slots with one more key, for which `per_key` slots stay free.
        share = self.total // (len(self._used) + 1)
        return free > self._per_key and self._used[key] < share

    def _release(self, key: Hashable) -> None:
        with self._lock:
            self._used[key] -= 1
            if not self._used[key]:
                del self._used[key]
