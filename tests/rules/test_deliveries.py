"""When a message that could not be delivered is tried again."""

from datetime import timedelta
from itertools import count, pairwise, takewhile

from rules.deliveries import pause_after


def pauses():
    """Every pause until it is time to give up."""
    return list(takewhile(lambda pause: pause is not None, map(pause_after, count(1))))


def test_the_first_pause_is_short_and_the_pauses_grow():
    assert pauses()[0] <= timedelta(minutes=1)
    assert all(shorter <= longer for shorter, longer in pairwise(pauses()))


def test_it_is_tried_for_about_three_days():
    assert timedelta(days=2.5) <= sum(pauses(), timedelta()) <= timedelta(days=4)


def test_afterwards_it_is_given_up_for_good():
    for more in range(1, 5):
        assert pause_after(len(pauses()) + more) is None
