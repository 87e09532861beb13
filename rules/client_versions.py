"""Check whether a client's version is recent enough (contract 3.1)."""

import re
from typing import Any

_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]+)?(?:\+.*)?", re.ASCII)


def check_version(version: str, oldest: str | None, latest: str | None) -> dict[str, Any]:
    """Build the version check response. Versions that cannot be parsed pass."""
    required = is_older(version, oldest)
    recommended = required or is_older(version, latest)
    message = f"A newer client is available: {latest}." if recommended else ""
    if required:
        message = f"This client is too old. Update it to {latest or oldest} or later."
    return {
        "update_required": required,
        "update_recommended": recommended,
        "latest_version": latest or "",
        "min_version": oldest or "",
        "message": message,
    }


def parse_version(text: str) -> tuple[int, int, int, bool] | None:
    """Parse a version into a sortable tuple. The last item is False for a pre-release (`v1.10.0-rc.1`)."""
    match = _VERSION.fullmatch(text.strip())
    if not match:
        return None
    major, minor, patch, prerelease = match.groups()
    return int(major), int(minor), int(patch or 0), prerelease is None


def is_older(version: str, other: str | None) -> bool:
    parsed, minimum = parse_version(version), parse_version(other or "")
    return parsed is not None and minimum is not None and parsed < minimum
