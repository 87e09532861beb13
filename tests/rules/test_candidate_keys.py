"""Candidate keys (R13)."""

from collections import Counter

import pytest

from rules.candidate_keys import ALPHABET, generate, normalize


def test_generated_keys_are_valid_unique_and_evenly_distributed():
    keys = {generate() for _ in range(3_750)}
    assert len(keys) == 3_750
    assert all(normalize(key) == key for key in keys)
    letters = Counter("".join(key[4:].replace("-", "") for key in keys))
    assert len(letters) == len(set(ALPHABET)) == 30
    assert not set(letters) & set("ILOU01")
    # 1000 expected, 9 standard deviations either way.
    assert all(700 < count < 1300 for count in letters.values())


@pytest.mark.parametrize("text", ["PST-ABCD-EFGH", "pst-abcd-efgh", " Pst-aBcD-eFgH\n", "\tPST-ABCD-EFGH "])
def test_letter_case_and_outer_whitespace_are_ignored(text):
    assert normalize(text) == "PST-ABCD-EFGH"


@pytest.mark.parametrize(
    "text",
    [
        "", "PST", "PST-ABCD-EFG", "PST-ABCD-EFGHJ", "PSTABCDEFGH", "PST ABCD EFGH", "PST-ABCDEFGH", "PST-ABCD-1234",
        "PST-ABCD-EFG0", "PST-ABCI-EFGH", "PST-ABCL-EFGH", "PST-ABCO-EFGH", "PST-ABCU-EFGH", "XST-ABCD-EFGH",
        "PST-ABCD-EFGH-JKMN", "PST-AB CD-EFGH", "PST-ABCD\n-EFGH", "PST-ABC\u0661-EFGH", "PST-\u00dfAB-CDEF",
        "PST-ABC\u017f-EFGH",
    ],
)  # fmt: skip
def test_malformed_keys_are_not_normalized(text):
    assert normalize(text) is None
