"""Plans, quotas and subscriptions (R10, R11)."""

from datetime import UTC, datetime, timedelta

import pytest

from rules import plans
from rules.plans import QUOTAS, TRIAL, is_quota_exhausted

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
PAID = ("trial", "starter", "growth", "business")


def test_quotas_grow_with_the_plan_and_self_hosted_has_none():
    assert list(QUOTAS) == ["self_hosted", *PAID]
    assert QUOTAS["self_hosted"] is None
    assert 0 < QUOTAS["trial"] < QUOTAS["starter"] < QUOTAS["growth"] < QUOTAS["business"]
    for plan in PAID:
        used = (0, QUOTAS[plan] - 1, QUOTAS[plan], QUOTAS[plan] + 1)
        assert [is_quota_exhausted(plan, count) for count in used] == [False, False, True, True]
    assert not is_quota_exhausted("self_hosted", 10**9)
    assert timedelta(days=14) == TRIAL


@pytest.mark.parametrize("plan", PAID)
@pytest.mark.parametrize(
    ("state", "ends", "code"),
    [
        ("active", None, None), (None, None, "no_subscription"), ("past_due", None, "subscription_inactive"),
        ("canceled", None, "subscription_inactive"), ("trialing", NOW + timedelta(milliseconds=1), None),
        ("trialing", NOW, "trial_expired"),
    ],
)  # fmt: skip
def test_a_subscription_without_payment_is_rejected(plan, state, ends, code):
    assert plans.subscription_error(plan, state, ends, NOW) == code
    assert plans.subscription_error("self_hosted", state, ends, NOW) is None


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        ((2026, 4, 1), (2026, 4, 1), (2026, 5, 1)),
        ((2026, 4, 30, 23, 59, 59, 999_999), (2026, 4, 1), (2026, 5, 1)),
        ((2028, 2, 29, 12), (2028, 2, 1), (2028, 3, 1)),
        ((2026, 12, 31, 12), (2026, 12, 1), (2027, 1, 1)),
    ],
)
def test_a_calendar_month_ends_where_the_next_one_starts(now, start, end):
    expected = datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC)
    assert plans.calendar_month(datetime(*now, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("months_before", "start"), [(0, (2026, 2, 1)), (1, (2026, 1, 1)), (2, (2025, 12, 1)), (35, (2023, 3, 1))]
)
def test_months_are_counted_back_over_the_years(months_before, start):
    now = datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert plans.month_start(now, months_before) == datetime(*start, tzinfo=UTC)
