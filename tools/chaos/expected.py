"""What the writers were told: acknowledged, or open."""

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Batch:
    """Keys that were asked for together; `keys` as they were answered, None where the fate of all of them is open."""

    name: str
    addresses: list[str]
    keys: list[dict[str, str]] | None = None


@dataclass
class Work:
    """One candidate's session.

    sent -- the events' ids with whether each was acknowledged
    together -- ids of batches of events of open fate: all of a batch are there, or none
    scores -- by criterion: the last acknowledged value, how many were acknowledged, and how many are open besides
    """

    key: dict[str, str]
    session_id: str = ""
    sent: dict[str, bool] = field(default_factory=dict)
    together: list[list[str]] = field(default_factory=list)
    is_signed: bool = False
    bundle_sha256: str | None = None
    completed_at: str | None = None
    scores: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    is_erased: bool = False

    @property
    def acknowledged(self) -> set[str]:
        return {event_id for event_id, is_there in self.sent.items() if is_there}


class Ledger:
    """Counts of all writers, and every breach that somebody noticed."""

    def __init__(self) -> None:
        self.acknowledged: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.breaches: list[str] = []
        self._lock = threading.Lock()

    def acknowledge(self, kind: str, count: int = 1) -> None:
        with self._lock:
            self.acknowledged[kind] += count

    def leave_open(self, kind: str, count: int = 1) -> None:
        with self._lock:
            self.open[kind] += count

    def accuse(self, *words: str) -> None:
        with self._lock:
            self.breaches.extend(words)
