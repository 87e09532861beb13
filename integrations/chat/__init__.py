"""Chat systems that receive notifications, one module each, found by listing this folder."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any


@cache
def chats() -> dict[str, Any]:
    """Return the chat modules by name, such as `slack`."""
    return {module.name: import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)}
