"""API tokens: prefix, at least 160 random bits in base 62, a checksum."""

import hashlib
import math
import string

import pytest

from rules.api_tokens import PREFIX, fingerprint, generate, is_well_formed

BASE62 = string.digits + string.ascii_letters
CHECKSUM_LENGTH = 6


def test_generated_tokens_are_well_formed_unique_and_long_enough():
    tokens = [generate() for _ in range(10_000)]
    assert len(set(tokens)) == len(tokens)
    assert all(map(is_well_formed, tokens))
    for token in tokens:
        assert token.startswith("psk_live_")
        assert set(token.removeprefix("psk_live_")) <= set(BASE62)
    assert (len(tokens[0]) - len(PREFIX) - CHECKSUM_LENGTH) * math.log2(62) >= 160


def test_a_single_wrong_or_two_swapped_characters_are_detected():
    token = generate()
    for index in range(len(PREFIX), len(token)):
        other = "a" if token[index] != "a" else "b"
        assert not is_well_formed(token[:index] + other + token[index + 1 :])
        swapped = token[:index] + token[index + 1 : index + 2] + token[index] + token[index + 2 :]
        assert swapped == token or not is_well_formed(swapped)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "", lambda token: PREFIX + "0" * 36, lambda token: token[:-1], lambda token: token + "0",
        lambda token: f" {token}", lambda token: f"{token}\n", lambda token: token.upper(),
        lambda token: token.replace("psk_live_", "psk_test_"), lambda token: token[len(PREFIX) :],
        lambda token: token[:20] + "\u0665" + token[21:], lambda token: token[:20] + "-" + token[21:],
    ],
)  # fmt: skip
def test_other_texts_are_not_well_formed(change):
    assert not is_well_formed(change(generate()))


def test_the_fingerprint_is_sha_256():
    token = generate()
    assert fingerprint(token) == hashlib.sha256(token.encode("ascii")).hexdigest()
