"""API tokens: a prefix, at least 160 random bits in base 62, and a checksum."""

import hashlib
import math

from rules.api_tokens import PREFIX, fingerprint, generate, is_well_formed

CHECKSUM_LENGTH = 6


def test_generated_tokens_are_valid_unique_and_long_enough():
    tokens = {generate() for _ in range(2_000)}
    assert len(tokens) == 2_000
    assert all(map(is_well_formed, tokens))
    assert {token[:9] for token in tokens} == {"psk_live_"}
    assert len(set("".join(token[9:] for token in tokens))) == 62
    (length,) = {len(token) for token in tokens}
    assert (length - len(PREFIX) - CHECKSUM_LENGTH) * math.log2(62) >= 160


def test_checksum_detects_wrong_and_swapped_characters():
    token = generate()
    for index in range(len(PREFIX), len(token)):
        other = "a" if token[index] != "a" else "b"
        assert not is_well_formed(token[:index] + other + token[index + 1 :])
        swapped = token[:index] + token[index + 1 : index + 2] + token[index] + token[index + 2 :]
        assert swapped == token or not is_well_formed(swapped)


def test_malformed_tokens_are_rejected():
    token = generate()
    malformed = ["", PREFIX + "0" * 36, token[:-1], token + "0", f" {token}", f"{token}\n", token.upper()]
    malformed += [token[:20] + character + token[21:] for character in "-\u0665"]
    malformed += [token[9:], token.replace("live", "test")]
    assert not any(map(is_well_formed, malformed))


def test_the_fingerprint_is_sha_256():
    token = generate()
    assert fingerprint(token) == hashlib.sha256(token.encode("ascii")).hexdigest()
