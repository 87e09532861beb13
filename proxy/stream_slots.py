"""Stream slots: the calls that one process forwards at the same time, shared between candidate keys."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from functools import partial


class StreamSlots:
    """`total` slots. Each key can have `per_key`, and more only while enough others are free.

    max_waiting -- calls that wait for a slot in their threads at the same time; None for no limit
    further_seconds -- how long further calls wait at most

    `waiting` is how many wait now.
    """

    def __init__(self, total: int, per_key: int, max_waiting: int | None = 0, further_seconds: float = 0):
        self.total = total
        self._per_key = per_key
        self._max_waiting = max_waiting
        self._further_seconds = further_seconds
        self.waiting = 0
        self._used: Counter[Hashable] = Counter()
        self._changed = threading.Condition()

    def acquire(self, key: Hashable, wait_seconds: float = 0) -> Callable[[], None] | None:
        """Acquire a slot; returns the function that releases it, or None if no slot becomes free for this key."""
        with self._changed:
            if not self._has_slot(key) and not self._wait(key, wait_seconds):
                return None
            self._used[key] += 1
        return partial(self._release, key)

    def _wait(self, key: Hashable, seconds: float) -> bool:
        if self._max_waiting is not None and self.waiting >= self._max_waiting:
            seconds = min(seconds, self._further_seconds)
        self.waiting += 1
        try:
            return self._changed.wait_for(partial(self._has_slot, key), seconds)
        finally:
            self.waiting -= 1

    def _has_slot(self, key: Hashable) -> bool:
        free = self.total - self._used.total()
        if self._used[key] < self._per_key:
            return free > 0
        # The keys with calls share the other slots with one more key, for which `per_key` slots stay free.
        share = self.total // (len(self._used) + 1)
        return free > self._per_key and self._used[key] < share

    def _release(self, key: Hashable) -> None:
        with self._changed:
            self._used[key] -= 1
            if not self._used[key]:
                del self._used[key]
            self._changed.notify_all()
