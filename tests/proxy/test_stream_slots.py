"""Each candidate key has its own stream slots, and all keys share the rest."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.endpoints import COUNT_TOKENS
from proxy.errors import TooManyStreams
from proxy.stream_slots import StreamSlots

WAIT_SECONDS = 20


def acquire(slots, keys):
    """Acquire a slot for each key in order. Return a 1 or 0 for each key."""
    return "".join("1" if slots.acquire(key) else "0" for key in keys)


@pytest.mark.parametrize(
    ("total", "keys", "acquired"),
    [
        (4, "aaaa", "1100"),  # two slots stay free for other keys
        (4, "aaabbbc", "1101100"),
        (3, "aaab", "1101"),
        (1, "ab", "10"),
        (8, "aaaaa", "11110"),  # half of the slots if no other key has calls
        (8, "aaaabbbb", "11111100"),  # two slots stay free for a third key
        (8, "aaaabbbbcc", "1111110011"),
        (9, "aaaabbbb", "11111110"),
    ],
)
def test_a_key_has_its_own_slots_and_shares_the_rest(total, keys, acquired):
    assert acquire(StreamSlots(total, 2), keys) == acquired


def test_a_call_waits_until_a_slot_is_released():
    slots = StreamSlots(1, 1, max_waiting=1)
    release = slots.acquire("a")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(slots.acquire, "b", WAIT_SECONDS)
        while not slots.waiting:
            time.sleep(0.001)
        assert slots.acquire("b", WAIT_SECONDS) is None  # only one of a key's calls can wait
        release()
        assert waiting.result()
    assert slots.waiting == 0


def test_a_key_cannot_exceed_its_slots_if_they_are_not_shared():
    assert acquire(StreamSlots(8, 2, is_shared=False), "aaab") == "1101"


def test_a_call_stops_waiting_after_its_timeout():
    slots = StreamSlots(1, 1, max_waiting=1)
    slots.acquire("a")
    assert slots.acquire("b", 0.01) is None
    assert slots.waiting == 0


@pytest.mark.parametrize(("streams", "acquired"), [(3, 2), (20, 18), (120, 60)])
def test_a_keys_calls_leave_streams_to_others(app_with, streams, acquired):
    """Waiting calls and calls whose body is arriving count."""
    proxy = app_with(PROXY_STREAMS=str(streams), WEB_THREADS="136").extensions["proxy"]
    for _ in range(acquired):
        proxy.acquire_thread(COUNT_TOKENS, "a")
    with pytest.raises(TooManyStreams):
        proxy.acquire_thread(COUNT_TOKENS, "a")
