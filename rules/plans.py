"""What each plan allows and what each subscription state refuses (R10, R11), as plain data."""

from dataclasses import dataclass
from datetime import datetime, timedelta

TRIAL = timedelta(days=14)
SUBSCRIPTION_STATES = ("active", "trialing", "past_due", "canceled")


@dataclass(frozen=True)
class Plan:
    """A plan; `monthly_assessments` is None where there is no quota."""

    name: str
    monthly_assessments: int | None


PLANS = {
    plan.name: plan
    for plan in (
        Plan("self_hosted", None),
        Plan("trial", 3),
        Plan("starter", 10),
        Plan("growth", 50),
        Plan("business", 250),
    )
}


def refusal(plan: str, state: str | None, trial_ends_at: datetime | None, now: datetime) -> str | None:
    """Why the subscription refuses new work (`no_subscription`, `trial_expired`, `subscription_inactive`), or None."""
    if plan == "self_hosted" or state == "active":
        return None
    if state is None:
        return "no_subscription"
    if state == "trialing":
        return None if trial_ends_at is None or now < trial_ends_at else "trial_expired"
    return "subscription_inactive"


def is_used_up(plan: str, used: int) -> bool:
    quota = PLANS[plan].monthly_assessments
    return quota is not None and used >= quota


def month_of(now: datetime) -> tuple[datetime, datetime]:
    """The calendar month of `now`, which is in UTC: its first moment and the next month's (R10)."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return first, following
