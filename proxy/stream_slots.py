"""Stream slots: limit concurrent calls in a process, and share them between candidate keys."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from functools import partial


class StreamSlots:
    """`total` slots. A key can use `per_key` slots, and more while enough slots are free.

    max_waiting -- maximum number of calls that wait for a slot; a waiting call occupies a thread
    excess_wait_seconds -- maximum wait for calls beyond `max_waiting`
    """

    def __init__(self, total: int, per_key: int, max_waiting: int = 0, excess_wait_seconds: float = 0):
        self.total = total
        self._per_key = per_key
        self._max_waiting = max_waiting
        self._excess_wait_seconds = excess_wait_seconds
        self.waiting = 0
        # Called after each change of `in_use` or `waiting`.
        self.on_change: Callable[[], None] = lambda: None
        self._used: Counter[Hashable] = Counter()
        self._changed = threading.Condition()

    @property
    def in_use(self) -> int:
        return self._used.total()

    def acquire(self, key: Hashable, wait_seconds: float = 0) -> Callable[[], None] | None:
        """Acquire a slot, and return the function that releases it; None if no slot becomes free for this key."""
        with self._changed:
            if not self._can_acquire(key) and not self._wait(key, wait_seconds):
                return None
            self._used[key] += 1
            self.on_change()
        return partial(self._release, key)

    def _wait(self, key: Hashable, seconds: float) -> bool:
        if self.waiting >= self._max_waiting:
            seconds = min(seconds, self._excess_wait_seconds)
        self.waiting += 1
        self.on_change()
        try:
            return self._changed.wait_for(partial(self._can_acquire, key), seconds)
        finally:
            self.waiting -= 1
            self.on_change()

    def _can_acquire(self, key: Hashable) -> bool:
        free = self.total - self._used.total()
        if self._used[key] < self._per_key:
            return free > 0
        # The keys with calls share the slots equally with one more key, and leave `per_key` slots free for it.
        share = self.total // (len(self._used) + 1)
        return free > self._per_key and self._used[key] < share

    def _release(self, key: Hashable) -> None:
        with self._changed:
            self._used[key] -= 1
            if not self._used[key]:
                del self._used[key]
            self.on_change()
            self._changed.notify_all()
