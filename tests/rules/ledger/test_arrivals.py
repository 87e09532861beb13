"""MACs of events, model calls and audit entries."""

import pytest

from rules.ledger import arrivals
from rules.ledger.arrivals import AcceptedEvent

KEYS = {"a": b"secret"}


@pytest.mark.parametrize(
    "change",
    [
        {"candidate_key": "PST-AAAA-BBBB"},
        {"received_at": "2026-04-01T09:00:00.001Z"},
        {"late": True},
        {"verdict": None},
        {"envelope_sha256": "0" * 64},
        {"channel": "proxy"},
    ],
)
def test_an_event_mac_covers_every_field(change):
    fields = {"candidate_key": "PST-AAAA-AAAA", "received_at": "2026-04-01T09:00:00.000Z", "late": False}
    event = AcceptedEvent.of("{}", verdict="valid", **fields)
    text = event.sign("a", KEYS["a"])
    assert event.matches(text, KEYS)
    assert not event._replace(**change).matches(text, KEYS)
    assert not event.matches(text, {"a": b"other"})
    assert not event.matches(text, {})


def test_a_column_mac_covers_kind_and_columns():
    text, columns = arrivals.sign("a", KEYS["a"], "audit", {"id": "1"}), {"id": "1"}
    cases = {
        (text, "audit", "1"): True, (text, "call", "1"): False, (text, "audit", "2"): False,
        (f"b:{text[2:]}", "audit", "1"): None, (text[2:], "audit", "1"): False, (None, "audit", "1"): False,
    }  # fmt: skip
    for (mac, kind, value), expected in cases.items():
        assert arrivals.is_signed(mac, kind, columns | {"id": value}, KEYS) is expected, (mac, kind, value)
