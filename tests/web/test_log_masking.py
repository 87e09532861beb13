"""Keys and tokens are masked wherever they stand in a line of the log."""

import logging

import pytest

from rules import api_tokens, candidate_keys
from web.log_masking import MaskingFormatter, masked


def test_a_key_keeps_its_first_half():
    assert masked("GET /replay/PST-ABCD-EFGH 404") == "GET /replay/PST-ABCD-**** 404"


def test_letter_case_does_not_matter():
    assert masked("pst-abcd-efgh") == "pst-abcd-****"


@pytest.mark.parametrize("text", ["PST-0000-0000", "POST /v1/me", "psk_live_", ""])
def test_other_texts_stay(text):
    assert masked(text) == text


def test_nothing_of_a_tokens_secret_is_left():
    token = api_tokens.generate()
    assert masked(f"Bearer {token},") == "Bearer psk_live_****,"


def test_a_traceback_is_masked_too():
    key = candidate_keys.generate()
    formatter = MaskingFormatter(logging.Formatter("%(message)s"))
    try:
        raise ValueError(f"{key} is unknown")
    except ValueError as error:
        record = logging.LogRecord("x", 40, "x", 1, "%s", (key,), (ValueError, error, error.__traceback__))
    text = formatter.format(record)
    assert "ValueError" in text
    assert key not in text
