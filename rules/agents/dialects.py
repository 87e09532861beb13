"""The dialects of the model APIs by name; each module implements the protocols of rules/agents/dialect.py."""

from types import ModuleType

DIALECTS: dict[str, ModuleType] = {}
