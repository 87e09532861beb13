"""The disclosure that candidates consent to (R28)."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent.parent / "data" / "disclosure.yaml"
LISTS = ("captures", "does_not_capture", "evaluated", "data_use")


@cache
def _texts() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def for_organization(organization: Any, *, has_client: bool) -> dict[str, Any]:
    """Return `version`, the LISTS, their `channels` (R38), and the `hash` of all fields.

    The lists include the organization's retention period and end with its additions. The version depends on their
    texts, for example `2026-11-30+3fa9c1d2`.

    has_client -- whether candidates can use the Promptster client
    """
    texts, additions = _texts(), organization.disclosure_additions or {}
    lists = {name: list(texts[name]) for name in LISTS}
    lists["data_use"].append(retention_text(organization.retention_days))
    for further in (texts["client"] if has_client else {}, additions):
        lists = {name: items + further.get(name, []) for name, items in lists.items()}
    fields = lists | {"version": f"{texts['version']}+{_hash(lists)[:8]}", "channels": texts["channels"]}
    return fields | {"hash": _hash(fields)}


def retention_text(days: int | None) -> str:
    """Return the disclosure's line about the retention period."""
    texts = _texts()["retention"]
    if days is None:
        return texts["unlimited"]
    return texts["limited"].format(period="1 day" if days == 1 else f"{days} days")


def _hash(fields: dict[str, Any]) -> str:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
