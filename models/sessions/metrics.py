"""Derive a closed session's metrics from its events (R18, R19, docs/metrics.md).

Deriving takes seconds for a large session, and a locked session stops its events (on SQLite, all sessions' events). The
metrics are therefore derived before the lock, and compared with the stored events under it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from errors import MetricsInProgress
from models.database import LOCK_TIMEOUT_SECONDS
from models.sessions.events import Event
from models.sessions.session import METRIC_COLUMNS, Session
from rules.metrics import derivation
from rules.metrics.usage import PriceTable, price_table

# At most one derivation of a session at a time in a process, and one thread that waits for it; some sessions share
# locks. Further threads wait briefly: otherwise, requests for one large session could occupy all threads.
_DERIVING = tuple(threading.Lock() for _ in range(64))
_NEXT = tuple(threading.Lock() for _ in _DERIVING)
MAX_QUEUE_SECONDS = 0.25
PRICES = Path(__file__).parents[2] / "data" / "pricing.yaml"


@cache
def prices() -> PriceTable:
    """The models' dated prices (data/pricing.yaml)."""
    return price_table(yaml.safe_load(PRICES.read_text()))


class Derivation(NamedTuple):
    """Derived metrics, and the stored events when the derivation started: how many, and the last one."""

    values: derivation.Metrics
    stored_events: int
    last_seq: int

    @classmethod
    def of(cls, session: Session) -> "Derivation":
        stored_events, last_seq = Event.extent(session)
        return cls(derive_values(session), stored_events, last_seq)

    def covers_all_events(self, session: Session) -> bool:
        """Return whether no event that counts has come or gone since; for a locked session."""
        # On PostgreSQL an event may become visible after one with a higher number.
        return Event.extent(session, self.last_seq)[0] == self.stored_events and not Event.counts_after(
            session, self.last_seq
        )


def derive_ahead(session: Session) -> Derivation | None:
    """Derive the metrics of an open or due session before it is locked; None if they are stored and current.

    Raises MetricsInProgress if another thread derives them for longer than a lock may take, or if one waits already.
    """
    with _only_derivation(session):
        # Another thread may have stored them in between.
        current = Session.get_by_id(session.id)
        return Derivation.of(current) if current.closed_at is None or current.metrics_due else None


@contextmanager
def _only_derivation(session: Session) -> Iterator[None]:
    number = hash(session.id) % len(_DERIVING)
    _acquire(_NEXT[number], MAX_QUEUE_SECONDS)
    try:
        _acquire(_DERIVING[number], LOCK_TIMEOUT_SECONDS)
    finally:
        _NEXT[number].release()
    try:
        yield
    finally:
        _DERIVING[number].release()


def _acquire(lock: threading.Lock, seconds: float) -> None:
    if not lock.acquire(timeout=seconds):
        raise MetricsInProgress()


def store(session: Session, derivation: Derivation | None = None) -> bool:
    """Store the metrics of a locked session.

    If events have arrived since the derivation, the metrics remain due. Returns whether they were stored: not if the
    events were erased, or if a later derivation is stored.

    derivation -- None to derive now, while the session is locked
    """
    derivation = derivation or Derivation.of(session)
    is_current = derivation.covers_all_events(session)
    columns = _columns(session, derivation.values, is_current)
    session.update_columns(metrics_due=not is_current, **columns)
    return "derivation_version" in columns


def derive_values(session: Session) -> derivation.Metrics:
    """Derive the metrics from the stored events."""
    return derivation.derive(Event.timeline(session), _submitted_counts(session), prices())


def _submitted_counts(session: Session) -> tuple[int, int] | None:
    counts: Any = (session.tests_passed_count, session.tests_failed_count)
    return None if None in counts else counts


def _columns(session: Session, derived: derivation.Metrics, is_current: bool) -> dict[str, Any]:
    """The columns to store; without those from the events if these were erased or other metrics have more events."""
    counts = _submitted_counts(session)
    submitted = {} if counts is None else {"tests_passed": derivation.is_passed(*counts)}
    # Events after an erasure were written into the database; metrics derived from them would be sealed.
    is_erased = session.is_erased or (derived.event_count == 0 and session.event_count)
    stored = -1 if session.event_count is None else session.event_count
    if is_erased or not (is_current or derived.event_count > stored):
        return submitted
    values = asdict(derived)
    columns = {name: values.pop(name) for name in (*METRIC_COLUMNS, "event_count")}
    columns |= {"derivation_version": values.pop("version"), "further_metrics": values}
    return columns | submitted


def shown_metrics(session: Session) -> dict[str, Any] | None:
    """The metrics by their names in docs/metrics.md; None while the session is open, and if they are unreadable."""
    if session.derivation_version is None:
        return None
    try:
        shown = derivation.to_response(session.columns(METRIC_COLUMNS) | session.further_metrics)
    except (KeyError, TypeError):
        return None  # Changed directly in the database, which the final seal detects.
    manual_lines = derivation.rounded_ratio(session.manual_line_ratio)
    return shown | {"manualLineRatio": manual_lines, "derivationVersion": session.derivation_version}


def submitted_tests(session: Session) -> dict[str, Any] | None:
    """The submitted result; None without one."""
    if session.tests_passed_count is None:
        return None
    counts = {name: getattr(session, f"tests_{name}_count") for name in ("passed", "failed", "skipped")}
    return counts | {"note": session.tests_note}
