"""A session's budget for model calls, and reservations of their cost (R42)."""

import time

from blueprints import model_budget_nano_usd, release_connection
from models import ModelReservation, ModelUsage, Session
from proxy.errors import BudgetSpent, TooManyStreams

MAX_WAIT_SECONDS = 10
POLL_SECONDS = 0.25


def require_remaining(session: Session, spent_nano_usd: int) -> None:
    """Raise BudgetSpent if the recorded usage has reached the budget."""
    limit = model_budget_nano_usd(session.assessment)
    if limit is not None and spent_nano_usd >= limit:
        raise BudgetSpent()


def reserve(session: Session, provider: str, cost_nano_usd: int) -> ModelReservation | None:
    """Reserve a call's cost. Returns None without a budget.

    Waits, without a database connection, while other calls have reserved the remaining budget. Raises BudgetSpent, or
    TooManyStreams after MAX_WAIT_SECONDS.
    """
    limit = model_budget_nano_usd(session.assessment)
    if limit is None:
        return None
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while (reservation := ModelReservation.reserve(session, cost_nano_usd, limit)) is None:
        require_remaining(session, ModelUsage.spent_nano_usd(session))
        release_connection()
        if time.monotonic() >= deadline:
            raise TooManyStreams(provider)
        time.sleep(POLL_SECONDS)
    return reservation
