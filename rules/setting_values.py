"""Parse settings. Each function raises ValueError with the expected value, which ends the error message."""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from rules.client_versions import parse_version
from rules.delivery.webhook_addresses import Network, parse_networks
from rules.setting_urls import split_url

_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:-]+(?<!:)(?<!:80)(?<!:443)")


def validate(check: Callable[[str], Any], value: str) -> str:
    """Return the value unless `check` raises ValueError."""
    check(value)
    return value


def bucket(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+", value):
        raise ValueError("a bucket's name such as proofstone, without s3:// or a path")
    return value


def object_prefix(value: str) -> str:
    return f"{value.rstrip('/')}/"


def secret(value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("printable ASCII characters without spaces")
    return value


def one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("one line of text")
    return value


def client_version(value: str) -> str:
    if parse_version(value) is None:
        raise ValueError("a version such as 1.10.0")
    return value


def networks(value: str) -> tuple[Network, ...]:
    try:
        return parse_networks(value)
    except ValueError:
        raise ValueError("networks such as 10.0.0.0/8,fd00::/8") from None


def _is_origin(value: str) -> bool:
    try:
        return bool(_ORIGIN.fullmatch(value) and split_url(value).hostname)
    except ValueError:
        return False


def origins(value: str) -> tuple[str, ...]:
    """Parse origins as browsers send them: lowercase, without a path or a default port."""
    entries = tuple(origin.strip() for origin in value.split(","))
    if not all(_is_origin(origin) for origin in entries):
        raise ValueError("origins such as https://app.example.com,http://localhost:3000")
    return entries


def hosts(value: str) -> dict[str, str]:
    """Parse `host=origin` pairs."""
    entries = dict(entry.strip().partition("=")[::2] for entry in value.split(","))
    if not all(re.fullmatch(r"[a-z0-9.-]+", host) and _is_origin(origin) for host, origin in entries.items()):
        raise ValueError("hosts with origins such as api.ashbyhq.com=https://api.eu.example.com")
    return entries


def domains(value: str) -> tuple[str, ...]:
    entries = tuple(domain.strip().lower() for domain in value.split(","))
    if not all(re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", domain) for domain in entries):
        raise ValueError("domains such as example.com,example.org")
    return entries


def integer(value: str, minimum: int = 0, maximum: int = 10**9, noun: str = "an integer") -> int:
    # `int` raises an error that names no setting for thousands of digits.
    if not re.fullmatch("[0-9]{1,20}", value) or not minimum <= int(value) <= maximum:
        raise ValueError(f"{noun} from {minimum} to {maximum}")
    return int(value)


positive = partial(integer, minimum=1)
port = partial(positive, maximum=65535, noun="a port")


def dollars(value: str) -> Decimal:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= 1_000_000:
        raise ValueError("an amount in USD from 0 to 1000000, such as 10 or 2.50")
    return amount


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that accepts the choices in any letter case."""
    *others, last = choices

    def parse_choice(value: str) -> str:
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        raise ValueError(f"{', '.join(others)} or {last}")

    return parse_choice


def boolean(value: str) -> bool:
    return one_of("true", "false")(value) == "true"
