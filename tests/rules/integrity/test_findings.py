"""Findings explain themselves neutrally."""

import re

import pytest

from rules.integrity.findings import CODES, Finding

# Findings without a harmful cause.
NEUTRAL = {"erased", "session_full", "submission_unreadable", "base_unverified", "call_not_recorded"}
HARMFUL = re.compile(
    "made up|switched off|set back|copied|never belonged|(?:was|were) (?:changed|deleted|inserted|removed)"
)


@pytest.mark.parametrize("code", CODES)
def test_an_explanation_names_the_harmless_causes_first(code):
    """The causes follow the first colon."""
    explanation = Finding(code).explanation
    if code not in NEUTRAL:
        _, _, causes = explanation.partition(": ")
        first, *others = re.split(", or |, otherwise ", causes, maxsplit=1)
        assert not HARMFUL.search(first), explanation
        assert others, explanation
