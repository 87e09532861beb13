"""What candidates agree to: the text, its version and its hash (R28), with what an organization adds to it."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent.parent / "data" / "disclosure.yaml"
LISTS = ("captures", "does_not_capture", "evaluated", "data_use")
DIGITS_OF_ADDITIONS = 8


@cache
def current() -> dict[str, Any]:
    """`version`, `captures`, `does_not_capture`, `evaluated`, `data_use`, and `hash` over all of them."""
    texts = _texts()
    return texts | {"hash": _hash(texts)}


def for_organization(organization: Any) -> dict[str, Any]:
    """The text for an organization's candidates, of the same form as `current()`.

    What it adds stands at the end of each list, and makes a version of its own: `2026-11-25+3fa9c1d2`.
    """
    additions = {name: texts for name, texts in (organization.disclosure_additions or {}).items() if texts}
    if not additions:
        return current()
    texts = _texts()
    lists = {name: texts[name] + additions.get(name, []) for name in LISTS}
    version = f"{texts['version']}+{_hash(additions)[:DIGITS_OF_ADDITIONS]}"
    own = texts | lists | {"version": version}
    return own | {"hash": _hash(own)}


@cache
def _texts() -> Any:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def _hash(texts: dict[str, Any]) -> str:
    canonical = json.dumps(texts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
