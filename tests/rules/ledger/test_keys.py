"""LEDGER_KEYS."""

import pytest

from rules.ledger import keys

SECRET = "s" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a:{SECRET}", {"a": SECRET.encode()}),
        (f"b:{SECRET}, a.2-x_:{'t' * 40}", {"b": SECRET.encode(), "a.2-x_": b"t" * 40}),
        (SECRET, {keys.derive_id(SECRET): SECRET.encode()}),
    ],
)
def test_keys_are_parsed_in_order(text, expected):
    assert list(keys.parse_keys(text).items()) == list(expected.items())


@pytest.mark.parametrize(
    "text", ["a:short", f"a b:{SECRET}", f"a:{SECRET},a:{SECRET}", f"a:{SECRET},", f"a:ä{SECRET}"]
)
def test_errors_do_not_repeat_the_secret(text):
    with pytest.raises(ValueError, match=r"id") as error:
        keys.parse_keys(text)
    assert SECRET not in str(error.value)


def test_generated_keys_are_valid_and_unique():
    first, second = (keys.parse_keys(keys.generate()) for _ in range(2))
    assert first.keys().isdisjoint(second)
