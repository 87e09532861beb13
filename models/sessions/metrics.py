"""Derive a closed session's metrics from its events (R18, R19, docs/metrics.md)."""

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from models.base import db
from models.rollups import CohortRollup
from models.sessions import final_seals
from models.sessions.events import Event
from models.sessions.session import COHORT_COLUMNS, METRIC_COLUMNS, Session
from rules import metrics

PRICES = Path(__file__).parents[2] / "data" / "pricing.yaml"


@cache
def prices() -> Any:
    """The models' dated prices (data/pricing.yaml)."""
    return yaml.safe_load(PRICES.read_text())


def derive(session: Session) -> bool:
    """Derive the metrics of a locked session, and update its cohort in the same transaction.

    Returns False if the events were erased: then the session keeps its numbers.
    """
    # A session joins its cohort with its first derivation, at the close.
    before = None if session.derivation_version is None else session.columns(COHORT_COLUMNS)
    columns = _derived_columns(session)
    session.update_columns(metrics_due=False, **columns)
    CohortRollup.replace_session(session.assessment_id, before, session.columns(COHORT_COLUMNS))
    return "derivation_version" in columns


def derive_values(session: Session) -> metrics.Metrics:
    """Derive the metrics from the stored events."""
    return metrics.derive(Event.timeline(session), _submitted_counts(session), prices())


def _submitted_counts(session: Session) -> tuple[int, int] | None:
    counts: Any = (session.tests_passed_count, session.tests_failed_count)
    return None if None in counts else counts


def _derived_columns(session: Session) -> dict[str, Any]:
    derived = derive_values(session)
    if derived.event_count == 0 and session.event_count:
        return {} if _submitted_counts(session) is None else {"tests_passed": derived.tests_passed}
    values = asdict(derived)
    columns = {name: values.pop(name) for name in (*METRIC_COLUMNS, "event_count")}
    return columns | {"derivation_version": values.pop("version"), "further_metrics": values}


def shown_metrics(session: Session) -> dict[str, Any] | None:
    """The metrics by their names in docs/metrics.md; None while the session is open, and if they are unreadable."""
    if session.derivation_version is None:
        return None
    try:
        shown = metrics.to_response(session.columns(METRIC_COLUMNS) | session.further_metrics)
    except (KeyError, TypeError):
        return None  # Somebody changed them in the database, which the final seal detects.
    return shown | {"derivationVersion": session.derivation_version}


def rederive(session: Session) -> dict[str, tuple[Any, Any]]:
    """Derive a closed session's metrics again; returns the changes as (before, after) by name."""
    from models.sessions.close import settle_locked

    with db.atomic():
        locked = session.lock()
        settle_locked(locked)
        before = shown_metrics(locked) or {}
        if derive(locked):
            final_seals.renew(locked, "rederived", "metrics")
        after = shown_metrics(locked) or {}
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    return {name: (before.get(name), after.get(name)) for name in sorted(changed)}


# Test results submitted by a reviewer or an integration; they take precedence over the events


def submit_test_result(
    session: Session, passed: int, failed: int, skipped: int | None = None, note: str | None = None
) -> None:
    """Store the result of tests run elsewhere. Raises Erased."""
    from models.sessions.close import settle_locked

    with db.atomic():
        locked = session.lock_unless_erased()
        counts = {"passed": passed, "failed": failed, "skipped": skipped}
        columns = {f"tests_{name}_count": count for name, count in counts.items()}
        locked.update_columns(tests_note=note, metrics_due=True, **columns)
        settle_locked(locked, ("tests_submitted", "tests", "metrics"))


def submitted_tests(session: Session) -> dict[str, Any] | None:
    """The submitted result; None without one."""
    if session.tests_passed_count is None:
        return None
    counts = {name: getattr(session, f"tests_{name}_count") for name in ("passed", "failed", "skipped")}
    return counts | {"note": session.tests_note}
