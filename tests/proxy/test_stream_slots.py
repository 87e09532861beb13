"""Stream slots are shared between candidate keys."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.stream_slots import StreamSlots

WAIT_SECONDS = 20


def acquire(slots, keys):
    """Acquire a slot for each of these keys in order; returns 1 or 0 for each."""
    return "".join("1" if slots.acquire(key) else "0" for key in keys)


@pytest.mark.parametrize(
    ("total", "keys", "acquired"),
    [
        (4, "aaaa", "1100"),  # one key does not use the slots of others
        (4, "aaabbbc", "1101100"),
        (3, "aaab", "1101"),
        (1, "ab", "10"),
        (8, "aaaaa", "11110"),  # half of the slots, if nobody else has a call
        (8, "aaaabbbb", "11111100"),  # then b's own slots, while two are left for a third key
        (8, "aaaabbbbcc", "1111110011"),
        (9, "aaaabbbb", "11111110"),
    ],
)
def test_a_key_has_its_own_slots_and_a_share_of_the_rest(total, keys, acquired):
    assert acquire(StreamSlots(total, 2), keys) == acquired


def test_a_released_slot_is_free_again():
    slots = StreamSlots(2, 2)
    releases = [slots.acquire("a"), slots.acquire("a")]
    assert slots.acquire("b") is None
    releases[0]()
    assert slots.acquire("b")
    releases[1]()
    assert slots.acquire("c")


def test_a_call_waits_until_a_slot_is_released():
    slots = StreamSlots(1, 1, max_waiting=1)
    release = slots.acquire("a")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(slots.acquire, "b", WAIT_SECONDS)
        while not slots.waiting:
            time.sleep(0.001)
        assert slots.acquire("c", WAIT_SECONDS) is None  # only one call waits
        release()
        assert waiting.result()
    assert slots.waiting == 0


def test_further_calls_wait_for_less():
    slots = StreamSlots(1, 1, max_waiting=0, excess_wait_seconds=0.01)
    release = slots.acquire("a")
    assert slots.acquire("b", WAIT_SECONDS) is None
    release()
    assert slots.acquire("b", WAIT_SECONDS)


def test_a_call_waits_only_for_a_time():
    slots = StreamSlots(1, 1, max_waiting=1)
    slots.acquire("a")
    assert slots.acquire("b", 0.01) is None
    assert slots.waiting == 0
