"""Compute a closed session's metrics from its events (R18, R19, docs/metrics.md).

This takes seconds for a large session, and a lock would block the session's events (on SQLite, events of all sessions).
The metrics are therefore computed before locking. Under the lock, the event count shows whether they are current.
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

# In each process, one thread computes a session's metrics and one waits for it. Other threads wait only briefly, so
# requests for one large session cannot occupy all threads. Some sessions share locks.
_DERIVING = tuple(threading.Lock() for _ in range(64))
_NEXT = tuple(threading.Lock() for _ in _DERIVING)
MAX_QUEUE_SECONDS = 0.25
PRICES = Path(__file__).parents[2] / "data" / "pricing.yaml"


@cache
def prices() -> PriceTable:
    """Load dated model prices (data/pricing.yaml)."""
    return price_table(yaml.safe_load(PRICES.read_text()))


class Derivation(NamedTuple):
    """Computed metrics, with the number of stored events and the last `seq` before the computation."""

    values: derivation.Metrics
    stored_events: int
    last_seq: int

    @classmethod
    def of(cls, session: Session) -> "Derivation":
        stored_events, last_seq = Event.extent(session)
        return cls(derive_values(session), stored_events, last_seq)

    def covers_all_events(self, session: Session) -> bool:
        """Return whether the locked session's counted events are unchanged since the computation."""
        new = Event.select().where(Event.session == session, Event.seq > self.last_seq, ~Event.late)
        # On PostgreSQL, an event can become visible after an event with a higher `seq`.
        return Event.extent(session, self.last_seq)[0] == self.stored_events and not new.exists()


def derive_before_lock(session: Session) -> Derivation | None:
    """Compute the metrics of an open or due session. Returns None if the stored metrics are current.

    Raises MetricsInProgress if other threads are computing them and waiting for them.
    """
    with _derivation_slot(session):
        # Another thread can have stored them by now.
        current = Session.get_by_id(session.id)
        return Derivation.of(current) if current.closed_at is None or current.metrics_due else None


@contextmanager
def _derivation_slot(session: Session) -> Iterator[None]:
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


def store(session: Session, derivation: Derivation | None, reason: str, **columns: Any) -> None:
    """Store a locked session's metrics; they remain due if events have arrived since the derivation.

    derivation -- None to compute them now
    columns -- more columns to change
    """
    derivation = derivation or Derivation.of(session)
    is_current = derivation.covers_all_events(session)
    columns |= _columns(session, derivation.values, is_current)
    session.record_change(reason, metrics_due=not is_current, **columns)


def derive_values(session: Session) -> derivation.Metrics:
    """Compute the metrics from the stored events."""
    return derivation.derive(Event.timeline(session), _submitted_counts(session), prices())


def _submitted_counts(session: Session) -> tuple[int, int] | None:
    counts: Any = (session.tests_passed_count, session.tests_failed_count)
    return None if None in counts else counts


def _columns(session: Session, computed: derivation.Metrics, is_current: bool) -> dict[str, Any]:
    """Return the columns to store: only `tests_passed` if the events were erased or newer metrics are stored."""
    counts = _submitted_counts(session)
    submitted = {} if counts is None else {"tests_passed": derivation.is_passed(*counts)}
    # Events after an erasure were written directly into the database. Their metrics must not be stored.
    is_erased = session.is_erased or (computed.event_count == 0 and session.event_count)
    stored = -1 if session.event_count is None else session.event_count
    if is_erased or not (is_current or computed.event_count > stored):
        return submitted
    values = asdict(computed)
    columns = {name: values.pop(name) for name in (*METRIC_COLUMNS, "event_count")}
    columns |= {"derivation_version": values.pop("version"), "further_metrics": values}
    return columns | submitted


def api_metrics(session: Session) -> dict[str, Any] | None:
    """Return the metrics by their API names; None while the session is open, and if they are unreadable."""
    if session.derivation_version is None:
        return None
    try:
        metrics = derivation.to_response(session.columns(METRIC_COLUMNS) | session.further_metrics)
    except (KeyError, TypeError):
        return None  # Changed directly in the database. The ledger's verification reports it.
    recorded_lines = derivation.rounded_ratio(session.recorded_line_ratio)
    return metrics | {
        "testsPassedSource": session.tests_passed_source,
        "recordedLineRatio": recorded_lines,
        "derivationVersion": session.derivation_version,
    }


def get_test_result(session: Session) -> dict[str, Any] | None:
    """Return the submitted test result, or None."""
    if session.tests_passed_count is None:
        return None
    counts = {name: getattr(session, f"tests_{name}_count") for name in ("passed", "failed", "skipped")}
    return counts | {"note": session.tests_note, "source": "team"}
