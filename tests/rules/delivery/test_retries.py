"""Retry delays for emails and webhooks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from rules.delivery import retries
from rules.delivery.retries import RETRY_DELAYS, WebhookResponse, retry_delay, webhook_retry_delay

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
FAILED = WebhookResponse(500)
ATTEMPTS = range(1, len(RETRY_DELAYS) + 1)
HOUR = timedelta(hours=1)


def test_retries_start_after_a_minute_and_end_after_three_days():
    delays = [retry_delay(attempts) for attempts in ATTEMPTS]
    assert delays[0] <= timedelta(minutes=1)
    assert all(shorter <= longer for shorter, longer in pairwise(delays))
    assert timedelta(days=2.5) <= sum(delays, timedelta()) <= timedelta(days=3.5)
    assert [webhook_retry_delay(attempts, FAILED, NOW, 0.5) for attempts in ATTEMPTS] == delays
    last = len(RETRY_DELAYS) + 1
    assert retry_delay(last) is webhook_retry_delay(last, FAILED, NOW, 0.5) is None


def test_webhook_retries_have_20_percent_jitter():
    delays = [webhook_retry_delay(4, FAILED, NOW, random) for random in (0, 0.5, 1)]
    assert delays == [HOUR * 0.8, HOUR, HOUR * 1.2]


@pytest.mark.parametrize("random", [0, 1])
def test_a_receiver_is_disabled_between_the_last_two_retries(random):
    delays = [webhook_retry_delay(attempts, FAILED, NOW, random) for attempts in ATTEMPTS]
    assert not retries.should_disable_receiver(NOW, NOW + sum(delays[:-1], timedelta()))
    assert retries.should_disable_receiver(NOW, NOW + sum(delays, timedelta()))


@pytest.mark.parametrize("status", [None, 199, 200, 204, 299, 302, 410, 500])
def test_only_2xx_is_a_success_and_only_410_is_gone(status):
    response = WebhookResponse(status)
    assert response.is_success == (response.error is None) == (status in (200, 204, 299))
    assert response.is_gone == (status == 410)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("120", 120), (" 120 ", 120), ("0", 0), ("99999999999999999999", 86400), ("-5", 0), ("soon", 0),
        ("Wed, 01 Apr 2026 09:10:00 GMT", 600), ("Wed, 01 Apr 2026 08:00:00 GMT", 0), ("\u0661", 0), ("", 0),
        ("Fri, 01 Apr 2050 08:00:00 GMT", 86400), (None, 0), (f"Fri, 01 Apr {'9' * 20} 08:00:00 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after_is_in_seconds_or_a_date_and_at_most_a_day(retry_after, seconds):
    assert retries.parse_retry_after(retry_after, NOW) == timedelta(seconds=seconds)


def test_retry_after_extends_the_delay():
    soon, late = WebhookResponse(429, retry_after="5"), WebhookResponse(503, retry_after="3600")
    assert [webhook_retry_delay(4, soon, NOW, 0.5), webhook_retry_delay(1, late, NOW, 0.5)] == [HOUR, HOUR]
    assert retries.receiver_delay(soon, NOW) == timedelta(seconds=30)
    assert retries.receiver_delay(late, NOW) == HOUR
