"""A final seal's content, and its differences from the session (R43, docs/integrity.md#final-seal)."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from rules.retention import anonymize_metrics
from rules.session_close import FLUSH_WINDOW

VERSION = "PROOFSTONE-FINAL-SEAL-V1"

# Events that arrive later do not count (R18).
DELAY = FLUSH_WINDOW
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
# Parts that earlier versions did not seal.
LATER_CODES = {"owner": "session_changed", "client": "session_changed", "submission": "metrics_changed"}


def without_names(further_metrics: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Remove names from the further metrics: they come from the candidate's computer, and seals outlive an erasure."""
    if further_metrics is None:
        return None
    try:
        return anonymize_metrics(further_metrics)
    except (KeyError, TypeError, AttributeError):
        # Changed directly in the database.
        return {"unreadable": True}


def is_complete(content: str) -> bool:
    """Return whether the text has all parts."""
    try:
        parts = json.loads(content)
        required = all(isinstance(parts[name], dict) for name in (*CODES, "events"))
        later = all(isinstance(parts.get(name, {}), dict) for name in (*LATER_CODES, "previous"))
        return required and later and parts["events"]["count"] in range(2**31)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def differences(sealed: Mapping[str, Any], stored: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the finding's code and the changed columns of each part except `events`."""
    for part, code in (CODES | LATER_CODES).items():
        if part in sealed:
            names = sealed[part].keys() | stored[part].keys()
            changed = [name for name in sorted(names) if sealed[part].get(name) != stored[part].get(name)]
            if changed:
                yield code, changed


def names_wrong_predecessor(parts: Mapping[str, Any], mac: bytes | None) -> bool:
    """Return whether a seal names a predecessor with a different MAC (None for the first seal).

    Seals of earlier versions name none.
    """
    return "previous" in parts and parts["previous"].get("mac") != (mac and mac.hex())
