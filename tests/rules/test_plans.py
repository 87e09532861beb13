"""What plans allow and subscriptions refuse (R10, R11)."""

from datetime import UTC, datetime, timedelta

import pytest

from rules.plans import PLANS, SUBSCRIPTION_STATES, TRIAL, is_used_up, month_of, refusal

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
PAID = ("trial", "starter", "growth", "business")


def test_there_is_a_plan_without_a_quota_for_who_hosts_alone():
    assert PLANS["self_hosted"].monthly_assessments is None
    assert set(PLANS) == {"self_hosted", *PAID}


def test_quotas_grow_with_the_plan():
    quotas = [PLANS[plan].monthly_assessments for plan in PAID]
    assert quotas == sorted(set(quotas))
    assert quotas[0] > 0


@pytest.mark.parametrize("plan", PAID)
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("active", None),
        (None, "no_subscription"),
        ("past_due", "subscription_inactive"),
        ("canceled", "subscription_inactive"),
    ],
)
def test_what_a_state_refuses(plan, state, reason):
    assert refusal(plan, state, None, NOW) == reason


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (NOW + timedelta(milliseconds=1), None),
        (NOW, "trial_expired"),
        (NOW - timedelta(days=1), "trial_expired"),
    ],
)
def test_a_trial_lasts_until_its_moment(ends, reason):
    assert refusal("trial", "trialing", ends, NOW) == reason


@pytest.mark.parametrize("state", [None, *SUBSCRIPTION_STATES])
def test_self_hosted_is_never_refused(state):
    assert refusal("self_hosted", state, NOW - timedelta(days=1), NOW) is None


@pytest.mark.parametrize("plan", PAID)
def test_a_quota_is_used_up_when_as_many_were_created(plan):
    quota = PLANS[plan].monthly_assessments
    assert [is_used_up(plan, used) for used in (0, quota - 1, quota, quota + 1)] == [False, False, True, True]


def test_no_quota_is_never_used_up():
    assert not is_used_up("self_hosted", 10**9)


def test_a_trial_has_14_days():
    assert timedelta(days=14) == TRIAL


@pytest.mark.parametrize(
    ("now", "first", "following"),
    [
        (datetime(2026, 4, 1, tzinfo=UTC), (2026, 4, 1), (2026, 5, 1)),
        (datetime(2026, 4, 30, 23, 59, 59, 999_999, UTC), (2026, 4, 1), (2026, 5, 1)),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), (2026, 1, 1), (2026, 2, 1)),
        (datetime(2028, 2, 29, 12, tzinfo=UTC), (2028, 2, 1), (2028, 3, 1)),
        (datetime(2026, 12, 31, 12, tzinfo=UTC), (2026, 12, 1), (2027, 1, 1)),
    ],
)
def test_the_month_of_a_moment(now, first, following):
    assert month_of(now) == (datetime(*first, tzinfo=UTC), datetime(*following, tzinfo=UTC))
