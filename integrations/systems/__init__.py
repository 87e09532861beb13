"""Applicant-tracking systems: one adapter module each, found by listing this folder.

An adapter has no database and no state; integrations/adapter.py describes its functions and constants.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any


@cache
def adapters() -> dict[str, Any]:
    """Return the adapter modules by name, such as `greenhouse`."""
    names = sorted(module.name for module in iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}") for name in names}
