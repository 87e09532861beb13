"""The disclosure that candidates consent to (R28), with an organization's additions."""

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
    """Return `version`, the LISTS, their `channels` (R38), and the `hash` of all fields."""
    return _with_hash(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def for_organization(organization: Any) -> dict[str, Any]:
    """Return the current disclosure with the organization's additions appended to each list.

    The version is extended, for example to `2026-11-25+3fa9c1d2`.
    """
    additions = {name: items for name, items in (organization.disclosure_additions or {}).items() if items}
    if not additions:
        return current()
    lists = {name: current()[name] + additions.get(name, []) for name in LISTS}
    version = f"{current()['version']}+{_hash(additions)[:8]}"
    return _with_hash(lists | {"version": version, "channels": current()["channels"]})


def _with_hash(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"hash": _hash(fields)}


def _hash(fields: dict[str, Any]) -> str:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
