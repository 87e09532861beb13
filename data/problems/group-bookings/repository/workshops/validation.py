"""Checks of request bodies. Each function returns the valid value or raises InvalidRequest."""

import re
from typing import Any

from workshops.errors import InvalidRequest

MAX_TEXT = 200
# Deliberately loose: it finds typos and accepts unusual addresses.
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"`{name}` must be a text that is not blank.")
    if len(value.strip()) > MAX_TEXT:
        raise InvalidRequest(f"`{name}` must have at most {MAX_TEXT} characters.")
    return value.strip()


def email(body: dict[str, Any], name: str) -> str:
    """Return the address in lower case, so that letter case doesn't matter in comparisons."""
    value = text(body, name)
    if not EMAIL.fullmatch(value):
        raise InvalidRequest(f"`{name}` must be an email address.")
    return value.lower()


def integer(body: dict[str, Any], name: str, minimum: int, maximum: int) -> int:
    value = body.get(name)
    # JSON's true is an int in Python.
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise InvalidRequest(f"`{name}` must be an integer from {minimum} to {maximum}.")
    return value


def choice(value: str, name: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InvalidRequest(f"`{name}` must be one of {', '.join(choices)}.")
    return value
