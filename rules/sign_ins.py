"""Sign-ins to the console: secrets, lifetimes, and the URLs for which browsers store the cookie."""

import hashlib
import ipaddress
import re
import secrets
from datetime import timedelta
from urllib.parse import urlsplit

METHODS = ("oidc", "email", "token")
LIFETIME = timedelta(hours=12)
EMAIL_LIFETIME = timedelta(minutes=15)
OIDC_LIFETIME = timedelta(minutes=2)
PREFIX = "pss_"
# For grants that only one browser can use. The console accepts these without a click.
BROWSER_PREFIX = "psb_"
_FORMAT = re.compile(rf"(?:{PREFIX}|{BROWSER_PREFIX})[0-9A-Za-z_-]{{43}}", re.ASCII)


def generate(prefix: str = PREFIX) -> str:
    """Generate a secret of 256 random bits for a sign-in or a grant."""
    return prefix + secrets.token_urlsafe(32)


def is_well_formed(text: str) -> bool:
    return _FORMAT.fullmatch(text) is not None


def fingerprint(secret: str) -> str:
    """Return the stored SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def get_origin(url: str) -> str:
    """Return a URL's origin as browsers send it: lowercase, and without a default port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    is_default = parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme))
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{parts.port}"


def is_possible_at(base_url: str) -> bool:
    """Return whether browsers store a Secure cookie for this URL: it is https, or on this machine."""
    parts = urlsplit(base_url)
    try:
        return parts.scheme == "https" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
