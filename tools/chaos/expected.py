"""The expected state: acknowledged writes, and writes whose outcome is unknown."""

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class KeyBatch:
    """Keys of one request. `keys` is None if its outcome is unknown: all keys exist or none."""

    name: str
    addresses: list[str]
    keys: list[dict[str, str]] | None = None


@dataclass
class ExpectedSession:
    """One candidate's session.

    sent -- event ids, each with whether it was acknowledged
    unknown_batches -- event ids of batches whose outcome is unknown: all of a batch's events exist or none
    scores -- by criterion: the last acknowledged value, and the number of retries. Each retry can have written it.
    """

    key: dict[str, str]
    session_id: str = ""
    sent: dict[str, bool] = field(default_factory=dict)
    unknown_batches: list[list[str]] = field(default_factory=list)
    is_signed: bool = False
    bundle_sha256: str | None = None
    completed_at: str | None = None
    scores: dict[str, tuple[int, int]] = field(default_factory=dict)
    is_erased: bool = False

    @property
    def acknowledged(self) -> set[str]:
        return {event_id for event_id, is_acknowledged in self.sent.items() if is_acknowledged}


class Results:
    """The number of writes by kind, and all violations."""

    def __init__(self) -> None:
        self.acknowledged: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.violations: list[str] = []
        self._lock = threading.Lock()

    def add(self, kind: str, count: int = 1, is_acknowledged: bool = True) -> None:
        with self._lock:
            (self.acknowledged if is_acknowledged else self.unknown)[kind] += count

    def add_violations(self, *messages: str) -> None:
        with self._lock:
            self.violations.extend(messages)
