"""What a receiver's answer means, and how long it takes until the next try."""

from datetime import UTC, datetime, timedelta

import pytest

from rules import hook_replies
from rules.deliveries import PAUSES
from rules.hook_replies import Reply

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
FAILED = Reply(500)


def test_only_2xx_is_a_success():
    assert [Reply(status).is_success for status in (None, 199, 200, 204, 299, 302, 400, 410, 500)] == [
        False, False, True, True, True, False, False, False, False,
    ]  # fmt: skip


def test_the_pauses_grow_for_about_three_days():
    pauses = [hook_replies.next_pause(attempts, FAILED, NOW, 0.5) for attempts in range(1, len(PAUSES) + 1)]
    assert pauses == sorted(pauses)
    assert timedelta(days=2.5) < sum(pauses, timedelta()) < timedelta(days=3.5)
    assert hook_replies.next_pause(len(PAUSES) + 1, FAILED, NOW, 0.5) is None


def test_chance_spreads_a_pause_by_a_fifth():
    spread = [hook_replies.next_pause(4, FAILED, NOW, share) for share in (0, 0.5, 1)]
    assert spread == [timedelta(minutes=48), timedelta(minutes=60), timedelta(minutes=72)]


def test_a_receiver_is_given_up_with_the_first_message_that_failed():
    """However chance spreads the pauses: not before its last try, and with it."""
    for share in (0, 1):
        waited = [hook_replies.next_pause(number, FAILED, NOW, share) for number in range(1, len(PAUSES) + 1)]
        last_but_one, last = sum(waited[:-1], timedelta()), sum(waited, timedelta())
        assert not hook_replies.is_hopeless(NOW, NOW + last_but_one)
        assert hook_replies.is_hopeless(NOW, NOW + last)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("99999999999999999999", 86400),
        ("Wed, 01 Apr 2026 09:10:00 GMT", 600),
        ("Wed, 01 Apr 2026 08:00:00 GMT", 0),
        ("Fri, 01 Apr 2050 08:00:00 GMT", 86400),
        ("-5", 0),
        ("soon", 0),
        ("\u0661", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_a_day_at_most(retry_after, seconds):
    assert hook_replies.wanted_wait(Reply(429, retry_after=retry_after), NOW) == timedelta(seconds=seconds)


def test_the_longer_one_of_pause_and_wish_counts():
    assert hook_replies.next_pause(1, Reply(429, retry_after="3600"), NOW, 0.5) == timedelta(hours=1)
    assert hook_replies.next_pause(4, Reply(429, retry_after="5"), NOW, 0.5) == timedelta(hours=1)
    assert hook_replies.hold(Reply(429, retry_after="5"), NOW) == timedelta(seconds=30)
    assert hook_replies.hold(Reply(503, retry_after="90"), NOW) == timedelta(seconds=90)
