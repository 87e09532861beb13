"""Console sign-ins: secrets, lifetimes, and URLs that support secure cookies."""

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
# For grants that are bound to one browser. The console accepts these without a click.
BROWSER_PREFIX = "psb_"
_FORMAT = re.compile(rf"(?:{PREFIX}|{BROWSER_PREFIX})[0-9A-Za-z_-]{{43}}", re.ASCII)


def generate(prefix: str = PREFIX) -> str:
    """Generate a 256-bit random secret for a sign-in or a grant."""
    return prefix + secrets.token_urlsafe(32)


def is_well_formed(secret: str) -> bool:
    return _FORMAT.fullmatch(secret) is not None


def fingerprint(secret: str) -> str:
    """Return the secret's SHA-256 in hex, as stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def get_origin(url: str) -> str:
    """Return a URL's origin as browsers send it: in lowercase, without the default port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    is_default = parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme))
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{parts.port}"


def is_secure_context(base_url: str) -> bool:
    """Return whether browsers store `Secure` cookies for this URL: it uses HTTPS or is on localhost."""
    parts = urlsplit(base_url)
    try:
        return parts.scheme == "https" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
