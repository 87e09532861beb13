"""Roles of people, and the operations that they allow (docs/rules.md#r41-people-and-roles)."""

ROLES = ("admin", "reviewer", "observer")
# Scopes of operations, each including the ones before it.
_SCOPES = ("read", "write", "admin")
_HIGHEST = {"admin": "admin", "reviewer": "write", "observer": "read"}


def allows(role: str | None, scope: str) -> bool:
    """Return whether a role allows operations that require `scope`; None is a service, which has no role."""
    return _SCOPES.index(scope) <= _SCOPES.index(_HIGHEST[role] if role else "admin")
