"""The disclosure that candidates consent to: its texts, version and hash (R28), with an organization's additions."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent.parent / "data" / "disclosure.yaml"
LISTS = ("captures", "does_not_capture", "evaluated", "data_use")


@cache
def current() -> dict[str, Any]:
    """`version`, the LISTS of texts, the `channels` that they name (R38), and `hash` over all of it."""
    return _with_hash(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def for_organization(organization: Any) -> dict[str, Any]:
    """Like `current`, with the organization's additions at the end of each list.

    They have their own version, such as `2026-11-25+3fa9c1d2`.
    """
    additions = {name: texts for name, texts in (organization.disclosure_additions or {}).items() if texts}
    if not additions:
        return current()
    lists = {name: current()[name] + additions.get(name, []) for name in LISTS}
    version = f"{current()['version']}+{_hash(additions)[:8]}"
    return _with_hash(lists | {"version": version, "channels": current()["channels"]})


def _with_hash(texts: dict[str, Any]) -> dict[str, Any]:
    return texts | {"hash": _hash(texts)}


def _hash(texts: dict[str, Any]) -> str:
    canonical = json.dumps(texts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
