"""Whether a client is recent enough (client contract, 3.1)."""

import re
from typing import Any


def check(version: str, oldest: str | None, latest: str | None) -> dict[str, Any]:
    """What the version check answers; a version that cannot be read, such as a development build's, is let through."""
    required = _is_older(version, oldest)
    recommended = required or _is_older(version, latest)
    return {
        "update_required": required,
        "update_recommended": recommended,
        "latest_version": latest or "",
        "min_version": oldest or "",
        "message": _message(required, recommended, latest or oldest),
    }


def _message(required: bool, recommended: bool, wanted: str | None) -> str:
    if required:
        return f"This client is too old to work here. Please update it to {wanted} or later."
    return f"A newer client is there: {wanted}." if recommended else ""


def _is_older(version: str, other: str | None) -> bool:
    mine, theirs = parse(version), parse(other or "")
    return mine is not None and theirs is not None and mine < theirs


def parse(text: str) -> tuple[int, int, int, bool] | None:
    """`v1.10.0-rc.1` as (1, 10, 0, False) and the release, which comes after it, with True; None for other texts."""
    found = re.fullmatch(
        r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]+)?(?:\+.*)?", text.strip(), re.ASCII
    )
    if not found:
        return None
    major, minor, patch, preview = found.groups()
    return int(major), int(minor), int(patch or 0), preview is None
