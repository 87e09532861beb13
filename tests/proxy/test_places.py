"""Places for model calls, shared between candidate keys."""

import pytest

from proxy.places import Places


def take(places, keys):
    """The places taken by each of these keys in turn, as a string of 1 and 0."""
    return "".join("1" if places.take(key) else "0" for key in keys)


@pytest.mark.parametrize(
    ("total", "keys", "taken"),
    [
        (4, "aaaa", "1100"),  # one key does not take the places of others
        (4, "aaabbbc", "1101100"),
        (3, "aaab", "1101"),
        (1, "ab", "10"),
        (8, "aaaaa", "11110"),  # half of the places, if nobody else has a call
        (8, "aaaabbbb", "11111100"),  # then b's own places, while two are left for a third key
        (8, "aaaabbbbcc", "1111110011"),
        (9, "aaaabbbb", "11111110"),
    ],
)
def test_a_key_has_its_own_places_and_a_share_of_the_rest(total, keys, taken):
    assert take(Places(total, 2), keys) == taken


def test_a_released_place_is_free_again():
    places = Places(2, 2)
    releases = [places.take("a"), places.take("a")]
    assert places.take("b") is None
    releases[0]()
    assert places.take("b")
    releases[1]()
    assert places.take("c")
