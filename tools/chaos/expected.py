"""The expected state: acknowledged writes, and writes whose outcome is unknown."""

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class KeyBatch:
    """Keys from one request. If the outcome is unknown, `keys` is None: either all keys exist or none."""

    name: str
    addresses: list[str]
    keys: list[dict[str, str]] | None = None


@dataclass
class ExpectedSession:
    """One candidate's session.

    sent -- whether each event was acknowledged, by event id
    unknown_batches -- event ids of batches with an unknown outcome: either all events in a batch exist or none
    scores -- the last acknowledged value and the number of retries, by criterion; each retry can have stored it
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
    """Number of writes by kind, and all violations."""

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
