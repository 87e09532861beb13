"""The content of a final seal, and its differences from a session (R43, docs/integrity.md#final-seal)."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from rules.retention import anonymize_metrics
from rules.session_close import COUNTED_AFTER_CLOSE

VERSION = "PROOFSTONE-FINAL-SEAL-V1"

# Events count if they arrive before then (R18).
DELAY = COUNTED_AFTER_CLOSE
# The worker seals within seconds, but may be down for a while.
OVERDUE = timedelta(hours=1)

CODES = {
    "metrics": "metrics_changed",
    "times": "session_changed",
    "completion": "session_changed",
    "tests": "session_changed",
    "status": "session_changed",
    "erasure": "session_changed",
}
# Seals of earlier versions do not have them.
LATER_CODES = {"owner": "session_changed", "client": "session_changed", "submission": "metrics_changed"}


def without_names(further_metrics: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The further metrics without names from the candidate's computer, since seals outlive an erasure."""
    if further_metrics is None:
        return None
    try:
        return anonymize_metrics(further_metrics)
    except (KeyError, TypeError, AttributeError):
        # Changed directly in the database.
        return {"unreadable": True}


def is_complete(content: str) -> bool:
    """Return whether the text has all parts; without a key, anyone can write a final seal."""
    try:
        parts = json.loads(content)
        required = all(isinstance(parts[name], dict) for name in (*CODES, "events"))
        later = all(isinstance(parts.get(name, {}), dict) for name in (*LATER_CODES, "previous"))
        return required and later and parts["events"]["count"] in range(2**31)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def differences(sealed: Mapping[str, Any], stored: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The finding's code and the changed columns of each part that differs; `events` is compared elsewhere."""
    changed: dict[str, list[str]] = {}
    for part, code in (CODES | LATER_CODES).items():
        if part in sealed:
            names = sealed[part].keys() | stored[part].keys()
            different = [name for name in sorted(names) if sealed[part].get(name) != stored[part].get(name)]
            changed.setdefault(code, []).extend(different)
    yield from ((code, names) for code, names in changed.items() if names)


def names_other(parts: Mapping[str, Any], mac: bytes | None) -> bool:
    """Return whether a seal names a predecessor other than the one with this MAC (None for the first seal)."""
    return "previous" in parts and parts["previous"].get("mac") != (mac and mac.hex())
