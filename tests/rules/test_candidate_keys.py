"""The form of a candidate key (R13)."""

from collections import Counter

import pytest

from rules.candidate_keys import ALPHABET, make, normalise


def test_the_alphabet_has_no_letters_that_look_alike():
    assert len(set(ALPHABET)) == len(ALPHABET) == 30
    assert not set(ALPHABET) & set("ILOU01")


def test_a_new_key_is_its_own_normal_form():
    for _ in range(1000):
        key = make()
        assert normalise(key) == key
        assert key[:4] == "PST-"
        assert set(key.replace("-", "")[3:]) <= set(ALPHABET)


def test_new_keys_differ():
    assert len({make() for _ in range(10_000)}) == 10_000


def test_every_letter_comes_up_about_as_often():
    drawn = Counter("".join(make()[4:].replace("-", "") for _ in range(3750)))
    assert set(drawn) == set(ALPHABET)
    assert all(
        700 < count < 1300 for count in drawn.values()
    )  # 1000 expected, 9 standard deviations either way


@pytest.mark.parametrize(
    "text", ["PST-ABCD-EFGH", "pst-abcd-efgh", "Pst-aBcD-eFgH", " PST-ABCD-EFGH\n", "\tpst-abcd-efgh "]
)
def test_letter_case_and_outer_white_space_do_not_count(text):
    assert normalise(text) == "PST-ABCD-EFGH"


@pytest.mark.parametrize(
    "text",
    [
        "", "PST", "PST-ABCD", "PST-ABCD-EFG", "PST-ABCD-EFGHJ", "PSTABCDEFGH", "PST ABCD EFGH", "PST-ABCDEFGH",
        "PST-ABCD-1234", "PST-ABCD-EFG0", "PST-ABCI-EFGH", "PST-ABCL-EFGH", "PST-ABCO-EFGH", "PST-ABCU-EFGH",
        "XST-ABCD-EFGH", "PST-ABCD-EFGH-JKMN", "PST-AB CD-EFGH", "PST-ABCD\n-EFGH", "PST-ABC\u0661-EFGH",
        "PST-\u00dfAB-CDEF", "PST-ABC\u017f-EFGH",
    ],
)  # fmt: skip
def test_what_looks_otherwise_is_no_key(text):
    assert normalise(text) is None
