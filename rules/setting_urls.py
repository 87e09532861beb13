"""Parse URLs in settings. Each parser raises ValueError with the expected value, which ends the error message."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

ENCODING_HINT = "special characters are percent-encoded, such as %23 for #"
_HTTP_URL = re.compile(r"https?://[\w.\[\]:-]+(/[^\s,?#]*)?", re.IGNORECASE)
_PROVIDERS = ("api.anthropic.com", "api.openai.com")
_ENDPOINTS = ("/messages", "/responses", "/chat/completions", "/models")


def split_url(value: str) -> SplitResult:
    """Split a URL and validate its port, which urllib does only on access."""
    try:
        parts = urlsplit(value)
        is_valid = parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f"a URL with a valid host and a port from 1 to 65535; {ENCODING_HINT}")
    return parts


def database_name(url: str) -> str:
    """Return the name of the database, or the path of an SQLite file."""
    return unquote(urlsplit(url).path[1:])


def http_url(value: str) -> str:
    if not _HTTP_URL.fullmatch(value) or not split_url(value).hostname:
        example = "https://name.example.com"
        raise ValueError(f"an http or https URL such as {example}, without a login, query, spaces or commas")
    return value.rstrip("/")


def provider_url(value: str) -> str:
    url = http_url(value)
    # Some tools include the version in the base URL; others add it themselves.
    url = url.removesuffix("/v1")
    if url.endswith(_ENDPOINTS) or (urlsplit(url).hostname in _PROVIDERS and urlsplit(url).path):
        raise ValueError("a base URL such as https://api.openai.com, without the path of an endpoint")
    return url


def issuer_url(value: str) -> str:
    if value.endswith("/.well-known/openid-configuration"):
        raise ValueError("the issuer's URL, without /.well-known/openid-configuration")
    return http_url(value)


def redis_url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in ("redis", "rediss", "valkey", "valkeys") or not split_url(value).hostname:
        raise ValueError("a URL such as redis://host:6379 or valkey://host:6379")
    # Valkey speaks the Redis protocol.
    return f"{scheme.replace('valkey', 'redis')}://{rest}"
