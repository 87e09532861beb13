"""The state of the installation's workers, for readiness and doctor."""

from datetime import timedelta

from models import backlog, clock
from models.heartbeats import MAX_SILENCE, workers
from rules.plain_text import format_minutes

OK, NOT_RUNNING, STALLED = "ok", "not_running", "stalled"
MINUTE = timedelta(minutes=1)


def state() -> str:
    """OK, NOT_RUNNING if a worker is expected, or STALLED if some of its tasks don't run."""
    seen = workers()
    if seen.stalled:
        return STALLED
    return OK if seen.running or not (seen.is_expected or _work_is_waiting()) else NOT_RUNNING


def describe() -> str:
    """The state in a sentence."""
    seen, now = workers(), clock.now()
    if seen.stalled:
        return f"These tasks have not run for 10 minutes: {', '.join(seen.stalled)}. Restart `flask worker`."
    if seen.running:
        return f"Running: {seen.running}."
    if seen.beat_at is None:
        return "No worker has run. Start `flask worker`."
    return f"No worker has run for {format_minutes((now - seen.beat_at) // MINUTE)}. Start `flask worker`."


def _work_is_waiting() -> bool:
    """Whether a worker would have done something that is due, even without a heartbeat of any."""
    return any(clock.now() - due >= MAX_SILENCE for due in backlog.oldest_due().values())
