"""Keys, tokens and secrets are masked in log lines."""

import logging

import pytest

from web.log_masking import MaskingFormatter, mask_secrets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /replay/PST-ABCD-EFGH 404", "GET /replay/PST-ABCD-**** 404"),
        ("pst-abcd-efgh", "pst-abcd-****"),
        ("Bearer psk_live_" + "0aZ" * 12 + ",", "Bearer psk_live_****,"),
        ("secret=whsec_" + "aZ+/" * 10 + "aZ0=", "secret=whsec_****"),
        ("grant=pss_" + "aZ-_" * 10 + "aZ0", "grant=pss_****"),
        ("GET /git/" + "aZ-_" * 10 + "aZ0/task.git/info/refs 200", "GET /git/****/task.git/info/refs 200"),
        ("grant=psb_" + "aZ-_" * 10 + "aZ0", "grant=psb_****"),
    ],
)
def test_the_secret_part_is_masked(text, expected):
    assert mask_secrets(text) == expected


@pytest.mark.parametrize("text", ["PST-0000-0000", "POST /v1/me", "psk_live_", ""])
def test_other_text_is_unchanged(text):
    assert mask_secrets(text) == text


def test_tracebacks_are_masked():
    key = "PST-ABCD-EFGH"
    try:
        raise ValueError(f"{key} is unknown")
    except ValueError as error:
        exc_info = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "%s", (key,), exc_info)
    text = MaskingFormatter(logging.Formatter("%(message)s")).format(record)
    assert "ValueError" in text
    assert key not in text
