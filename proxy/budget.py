"""A session's budget for model calls, and reservations of their cost (R42)."""

import time
from math import ceil

from flask import current_app

from blueprints import release_connection
from models import ModelReservation, ModelUsage, Session
from proxy.errors import BudgetSpent, TooManyStreams

MAX_WAIT_SECONDS = 10
POLL_SECONDS = 0.25


def limit_nano_usd(session: Session) -> int | None:
    """Return the assessment's budget, or the default; None for no limit."""
    default = ceil(current_app.config["SESSION_DEFAULT_BUDGET_USD"] * 10**9)
    limit = session.assessment.token_budget_nano_usd
    return limit if limit is not None else default or None


def require_remaining(session: Session, spent_nano_usd: int) -> None:
    """Raise BudgetSpent if the recorded usage has reached the budget."""
    limit = limit_nano_usd(session)
    if limit is not None and spent_nano_usd >= limit:
        raise BudgetSpent()


def reserve(session: Session, provider: str, cost_nano_usd: int) -> ModelReservation | None:
    """Reserve a call's cost. Returns None without a budget.

    Waits, without a database connection, while other calls have reserved the remaining budget. Raises BudgetSpent, or
    TooManyStreams after MAX_WAIT_SECONDS.
    """
    limit = limit_nano_usd(session)
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
