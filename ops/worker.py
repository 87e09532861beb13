"""Worker state, for readiness and `flask doctor`."""

from datetime import timedelta

from models import backlog, clock
from models.heartbeats import MAX_SILENCE, workers
from rules.plain_text import format_minutes

OK, NOT_RUNNING, STALLED = "ok", "not_running", "stalled"
MINUTE = timedelta(minutes=1)


def state() -> str:
    """Return STALLED if a running worker's task has stalled, NOT_RUNNING if a worker is missing, otherwise OK."""
    current = workers()
    if current.stalled:
        return STALLED
    if current.running:
        return OK
    # True if work has been due for longer than a running worker would take.
    is_overdue = any(clock.now() - due >= MAX_SILENCE for due in backlog.oldest_due().values())
    return NOT_RUNNING if current.is_expected or is_overdue else OK


def describe() -> str:
    """Describe the state for `flask doctor`."""
    current = workers()
    if current.stalled:
        return f"Tasks not run for 10 minutes: {', '.join(current.stalled)}. Restart `flask worker`."
    if current.running:
        return f"Running: {current.running}."
    if current.beat_at is None:
        return "No worker has run. Start `flask worker`."
    minutes = (clock.now() - current.beat_at) // MINUTE
    return f"No worker has run for {format_minutes(minutes)}. Start `flask worker`."
