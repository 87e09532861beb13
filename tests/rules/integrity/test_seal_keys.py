"""SEAL_KEYS and MACs."""

import hashlib
import hmac

import pytest

from rules.integrity import seal_keys
from rules.integrity.arrivals import AcceptedEvent

SECRET = "s" * 32
DERIVED_ID = hashlib.sha256(f"PROOFSTONE-SEAL-KEY-ID\n{SECRET}".encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a:{SECRET}", {"a": SECRET.encode()}),
        (f"b:{SECRET}, a.2-x_:{'t' * 40}", {"b": SECRET.encode(), "a.2-x_": b"t" * 40}),
        (SECRET, {DERIVED_ID: SECRET.encode()}),
    ],
)
def test_keys_are_parsed_in_order(text, expected):
    assert list(seal_keys.parse_keys(text).items()) == list(expected.items())


@pytest.mark.parametrize(
    "text", ["a:short", f"a b:{SECRET}", f"a:{SECRET},a:{SECRET}", f"a:{SECRET},", f"a:ä{SECRET}"]
)
def test_errors_do_not_repeat_the_secret(text):
    with pytest.raises(ValueError, match=r"id") as error:
        seal_keys.parse_keys(text)
    assert SECRET not in str(error.value)


def test_generated_keys_are_valid_and_unique():
    first, second = (seal_keys.parse_keys(seal_keys.generate()) for _ in range(2))
    assert first.keys().isdisjoint(second)


def test_a_mac_is_an_hmac_or_without_a_key_a_hash():
    assert seal_keys.mac(b"key", "a", "b") == hmac.new(b"key", b"a\nb", "sha256").digest()
    assert seal_keys.mac(None, "a", "b") == hashlib.sha256(b"a\nb").digest()


@pytest.mark.parametrize(
    "change",
    [
        {"candidate_key": "PST-AAAA-BBBB"},
        {"received_at": "2026-04-01T09:00:00.001Z"},
        {"late": True},
        {"verdict": None},
        {"envelope_sha256": bytes(32)},
    ],
)
def test_an_arrival_mac_covers_every_field(change):
    keys = {"a": b"secret"}
    received_at = "2026-04-01T09:00:00.000Z"
    event = AcceptedEvent.of(
        "{}", candidate_key="PST-AAAA-AAAA", received_at=received_at, late=False, verdict="valid"
    )
    text = event.sign("a", keys["a"])
    assert event.matches(text, keys)
    assert not event._replace(**change).matches(text, keys)
    assert not event.matches(text, {"a": b"other"})
    assert not event.matches(text, {})


@pytest.mark.parametrize(
    ("chain", "count", "enclosed"),
    [
        ("aab", 0, None),
        ("XXa", 2, None),  # removed from SEAL_KEYS
        ("aXX", 2, None),  # not in SEAL_KEYS yet
        ("-XX-a", 2, None),
        ("aXa", 1, (2, 1)),
        ("aXXb", 2, (2, 2)),
        ("XaX-YaXbX", 5, (3, 3)),
    ],
)
def test_unknown_keys_between_known_keys_are_enclosed(chain, count, enclosed):
    unknown = seal_keys.UnknownKeys({"a": b"", "b": b""})
    for position, key_id in enumerate(chain, 1):
        unknown.add(position, None if key_id == "-" else key_id)
    assert (unknown.count, unknown.enclosed) == (count, enclosed)
