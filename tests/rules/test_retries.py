"""Retry delays of mails and webhooks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from rules import retries
from rules.retries import RETRY_DELAYS, WebhookResponse, retry_delay, webhook_retry_delay

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
FAILED = WebhookResponse(500)
ATTEMPTS = range(1, len(RETRY_DELAYS) + 1)


def test_delays_grow_from_a_minute_to_three_days_in_total():
    delays = [retry_delay(attempts) for attempts in ATTEMPTS]
    assert delays[0] <= timedelta(minutes=1)
    assert all(shorter <= longer for shorter, longer in pairwise(delays))
    assert timedelta(days=2.5) <= sum(delays, timedelta()) <= timedelta(days=3.5)
    assert [webhook_retry_delay(attempts, FAILED, NOW, 0.5) for attempts in ATTEMPTS] == delays


def test_after_the_last_delay_there_is_no_retry():
    for more in range(1, 5):
        assert retry_delay(len(RETRY_DELAYS) + more) is None
        assert webhook_retry_delay(len(RETRY_DELAYS) + more, FAILED, NOW, 0.5) is None


def test_webhooks_have_a_jitter_of_a_fifth():
    delays = [webhook_retry_delay(4, FAILED, NOW, random) for random in (0, 0.5, 1)]
    assert delays == [timedelta(minutes=48), timedelta(minutes=60), timedelta(minutes=72)]


@pytest.mark.parametrize("random", [0, 1])
def test_a_receiver_is_disabled_between_the_last_two_retries(random):
    delays = [webhook_retry_delay(attempts, FAILED, NOW, random) for attempts in ATTEMPTS]
    assert not retries.should_disable_receiver(NOW, NOW + sum(delays[:-1], timedelta()))
    assert retries.should_disable_receiver(NOW, NOW + sum(delays, timedelta()))


@pytest.mark.parametrize(
    ("status", "is_success"),
    [(None, False), (199, False), (200, True), (204, True), (299, True), (302, False), (410, False), (500, False)],
)  # fmt: skip
def test_only_2xx_is_a_success(status, is_success):
    response = WebhookResponse(status)
    assert response.is_success == is_success
    assert (response.error is None) == is_success
    assert response.is_gone == (status == 410)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        *(("120", 120), (" 120 ", 120), ("0", 0), ("99999999999999999999", 86400)),
        ("Wed, 01 Apr 2026 09:10:00 GMT", 600),
        ("Wed, 01 Apr 2026 08:00:00 GMT", 0),
        ("Fri, 01 Apr 2050 08:00:00 GMT", 86400),
        *(("-5", 0), ("soon", 0), ("\u0661", 0), ("", 0), (None, 0)),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(retry_after, seconds):
    assert retries.parse_retry_after(retry_after, NOW) == timedelta(seconds=seconds)


def test_the_longer_of_delay_and_retry_after_is_used():
    hour, busy = timedelta(hours=1), WebhookResponse(429, retry_after="5")
    assert webhook_retry_delay(1, WebhookResponse(429, retry_after="3600"), NOW, 0.5) == hour
    assert webhook_retry_delay(4, busy, NOW, 0.5) == hour
    assert retries.receiver_pause(busy, NOW) == timedelta(seconds=30)
    assert retries.receiver_pause(WebhookResponse(503, retry_after="90"), NOW) == timedelta(seconds=90)
