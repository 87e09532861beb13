"""Rate limit counters in one process."""

from limits import parse

from access.counters import MIN_SWEPT_WINDOWS, Counters, LocalCounters


def test_hits_are_counted_per_key_until_the_window_ends():
    counters = LocalCounters()
    assert [counters.incr(key, 60) for key in ("one", "one", "other")] == [1, 2, 1]
    assert (counters.get("one"), counters.get("unknown")) == (2, 0)
    assert [counters.incr("brief", 0) for _ in range(2)] == [1, 1]


def test_without_a_store_no_warning_is_logged(caplog):
    counters = Counters(None)
    assert [counters.hit(parse("9 per minute"), "one")[0] for _ in range(2)] == [1, 2]
    assert caplog.text == ""


def test_ended_windows_are_deleted():
    counters = LocalCounters()
    for number in range(2 * MIN_SWEPT_WINDOWS):
        counters.incr(f"ended {number}", 0)
    counters.incr("current", 60)
    assert len(counters._windows) <= MIN_SWEPT_WINDOWS + 1
    assert counters.get("current") == 1
