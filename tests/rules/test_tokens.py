"""The form of a reviewer's token: prefix, at least 160 random bits in base 62, a checksum."""

import hashlib
import math
import string

import pytest

from rules.tokens import PREFIX, fingerprint, is_well_formed, make

BASE62 = string.digits + string.ascii_letters
TOKEN = "psk_live_" + "0" * 36  # crc32 of thirty zeros is not zero, so this one is not well-formed


def test_a_new_token_is_well_formed():
    for _ in range(1000):
        token = make()
        assert is_well_formed(token)
        assert token.startswith("psk_live_")
        assert set(token.removeprefix("psk_live_")) <= set(BASE62)


def test_a_token_has_at_least_160_random_bits():
    characters = len(make()) - len(PREFIX) - 6  # the checksum is not random
    assert characters * math.log2(62) >= 160


def test_new_tokens_differ():
    assert len({make() for _ in range(10_000)}) == 10_000


def test_every_single_wrong_character_is_noticed():
    token = make()
    for place in range(len(PREFIX), len(token)):
        other = "a" if token[place] != "a" else "b"
        assert not is_well_formed(token[:place] + other + token[place + 1 :])


def test_two_swapped_characters_are_noticed():
    token = make()
    for place in range(len(PREFIX), len(token) - 1):
        one, two = token[place], token[place + 1]
        assert one == two or not is_well_formed(token[:place] + two + one + token[place + 2 :])


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda token: "", lambda token: TOKEN, lambda token: token[:-1], lambda token: token + "0",
        lambda token: f" {token}", lambda token: f"{token}\n", lambda token: token.upper(),
        lambda token: token.replace("psk_live_", "psk_test_"), lambda token: token[len(PREFIX) :],
        lambda token: token[:20] + "\u0665" + token[21:], lambda token: token[:20] + "-" + token[21:],
    ],
)  # fmt: skip
def test_anything_else_is_not_well_formed(spoilt):
    assert not is_well_formed(spoilt(make()))


def test_the_fingerprint_is_sha_256():
    token = make()
    assert fingerprint(token) == hashlib.sha256(token.encode("ascii")).hexdigest()
