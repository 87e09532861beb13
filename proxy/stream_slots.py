"""Stream slots: limit concurrent calls in a process, and share them between candidate keys."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from functools import partial


class StreamSlots:
    """`total` slots. A key can use `per_key` slots, and more while enough slots are free if `is_shared`.

    max_waiting -- maximum number of a key's calls that wait for a slot
    """

    def __init__(self, total: int, per_key: int, max_waiting: int = 0, *, is_shared: bool = True):
        self.total = total
        self._per_key = per_key
        self._max_waiting = max_waiting
        self._is_shared = is_shared
        # Called after each change of `in_use` or `waiting`.
        self.on_change: Callable[[], None] = lambda: None
        self._used: Counter[Hashable] = Counter()
        self._waiting: Counter[Hashable] = Counter()
        self._changed = threading.Condition()

    @property
    def in_use(self) -> int:
        return self._used.total()

    @property
    def waiting(self) -> int:
        return self._waiting.total()

    def acquire(self, key: Hashable, wait_seconds: float = 0) -> Callable[[], None] | None:
        """Acquire a slot, and return the function that releases it; None if no slot becomes free for this key."""
        with self._changed:
            if not self._can_acquire(key) and not self._wait(key, wait_seconds):
                return None
            self._used[key] += 1
            self.on_change()
        return partial(self._release, key)

    def _wait(self, key: Hashable, seconds: float) -> bool:
        if self._waiting[key] >= self._max_waiting:
            return False
        self._waiting[key] += 1
        self.on_change()
        try:
            return self._changed.wait_for(partial(self._can_acquire, key), seconds)
        finally:
            _decrement(self._waiting, key)
            self.on_change()

    def _can_acquire(self, key: Hashable) -> bool:
        free = self.total - self._used.total()
        if self._used[key] < self._per_key:
            return free > 0
        # The keys with calls share the slots equally with one more key, and leave `per_key` slots free for it.
        share = self.total // (len(self._used) + 1)
        return self._is_shared and free > self._per_key and self._used[key] < share

    def _release(self, key: Hashable) -> None:
        with self._changed:
            _decrement(self._used, key)
            self.on_change()
            self._changed.notify_all()


def _decrement(counter: Counter[Hashable], key: Hashable) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
