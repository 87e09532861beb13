"""Plans with their quotas, and subscriptions (R10, R11)."""

from datetime import datetime, timedelta

TRIAL = timedelta(days=14)
SUBSCRIPTION_STATES = ("active", "trialing", "past_due", "canceled")
# Assessments per month; None means unlimited.
QUOTAS = {"self_hosted": None, "trial": 3, "starter": 10, "growth": 50, "business": 250}


def subscription_error(
    plan: str, state: str | None, trial_ends_at: datetime | None, now: datetime
) -> str | None:
    """Return an error code if the subscription does not allow new work."""
    if plan == "self_hosted" or state == "active":
        return None
    if state is None:
        return "no_subscription"
    if state == "trialing":
        return None if trial_ends_at is None or now < trial_ends_at else "trial_expired"
    return "subscription_inactive"


def is_quota_exhausted(plan: str, used: int) -> bool:
    quota = QUOTAS[plan]
    return quota is not None and used >= quota


def calendar_month(now: datetime) -> tuple[datetime, datetime]:
    """Return the start of the current month and of the next, in UTC (R10)."""
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)


def month_start(now: datetime, months_before: int) -> datetime:
    """Return the start of an earlier calendar month, in UTC."""
    start, _ = calendar_month(now)
    years, month = divmod(start.year * 12 + start.month - 1 - months_before, 12)
    return start.replace(year=years, month=month + 1)
