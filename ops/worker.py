"""The workers' state, for readiness and `flask doctor`."""

from datetime import timedelta

from models import backlog, clock
from models.heartbeats import MAX_SILENCE, workers
from rules.plain_text import format_minutes

OK, NOT_RUNNING, STALLED = "ok", "not_running", "stalled"
MINUTE = timedelta(minutes=1)


def state() -> str:
    """Return STALLED if a running worker's task has not run, NOT_RUNNING if no expected worker runs, otherwise OK."""
    seen = workers()
    if seen.stalled:
        return STALLED
    return OK if seen.running or not (seen.is_expected or _work_is_waiting()) else NOT_RUNNING


def describe() -> str:
    """Describe the state in a sentence."""
    seen, now = workers(), clock.now()
    if seen.stalled:
        return f"These tasks have not run for 10 minutes: {', '.join(seen.stalled)}. Restart `flask worker`."
    if seen.running:
        return f"Running: {seen.running}."
    if seen.beat_at is None:
        return "No worker has run. Start `flask worker`."
    return f"No worker has run for {format_minutes((now - seen.beat_at) // MINUTE)}. Start `flask worker`."


def _work_is_waiting() -> bool:
    """Return whether work has been due for longer than a running worker would need."""
    return any(clock.now() - due >= MAX_SILENCE for due in backlog.oldest_due().values())
